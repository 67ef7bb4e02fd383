-- +goose Up
-- What a tenant changes of the menu, as a whole: it is read and written so.
CREATE TABLE tenant.menu_overrides (
    tenant_id  uuid PRIMARY KEY REFERENCES tenant.tenants ON DELETE CASCADE,
    items      jsonb NOT NULL DEFAULT '[]',
    revision   bigint NOT NULL DEFAULT 1, -- its own count: 1 is as if there were no row
    updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE tenant.menu_overrides ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant.menu_overrides FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant.menu_overrides
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- +goose Down
DROP TABLE tenant.menu_overrides;
