-- +goose Up
-- A unit that was deleted knows with which one, so that they are restored
-- together.
ALTER TABLE tenant.units
    ADD COLUMN code text,
    ADD COLUMN head_user_id uuid,
    ADD COLUMN removed_with uuid,
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
SELECT set_config('buildify.tenant', '*', true);
UPDATE tenant.units SET code = replace(id::text, '-', ''), removed_with = CASE WHEN removed THEN id END;
ALTER TABLE tenant.units
    ALTER COLUMN code SET NOT NULL,
    ADD CONSTRAINT units_kind CHECK (kind IN ('company', 'branch', 'department')),
    ADD CONSTRAINT units_place CHECK ((kind = 'company') = (parent_id IS NULL)),
    ADD CONSTRAINT units_removed CHECK (removed = (removed_with IS NOT NULL));
-- Companies have no parent; the nil id stands for it.
CREATE UNIQUE INDEX units_code ON tenant.units
    (tenant_id, coalesce(parent_id, '00000000-0000-0000-0000-000000000000'), lower(code)) WHERE NOT removed;
CREATE INDEX units_head ON tenant.units (head_user_id) WHERE head_user_id IS NOT NULL;

-- +goose Down
DROP INDEX tenant.units_code, tenant.units_head;
ALTER TABLE tenant.units
    DROP CONSTRAINT units_kind, DROP CONSTRAINT units_place, DROP CONSTRAINT units_removed,
    DROP COLUMN code, DROP COLUMN head_user_id, DROP COLUMN removed_with, DROP COLUMN created_at, DROP COLUMN updated_at;
