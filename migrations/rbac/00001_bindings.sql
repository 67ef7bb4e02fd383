-- +goose Up
CREATE SCHEMA IF NOT EXISTS rbac;

-- The revision of a tenant's roles and bindings grows by one with each change.
CREATE TABLE rbac.revisions (
    tenant_id uuid PRIMARY KEY,
    revision  bigint NOT NULL
);

CREATE TABLE rbac.roles (
    tenant_id   uuid NOT NULL,
    name        text NOT NULL,
    permissions text[] NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE rbac.bindings (
    tenant_id uuid NOT NULL,
    user_id   uuid NOT NULL,
    role      text NOT NULL,
    PRIMARY KEY (tenant_id, user_id, role),
    FOREIGN KEY (tenant_id, role) REFERENCES rbac.roles (tenant_id, name) ON DELETE CASCADE
);

CREATE TABLE rbac.outbox (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event   jsonb NOT NULL
);

-- +goose StatementBegin
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['revisions', 'roles', 'bindings'] LOOP
        EXECUTE format('ALTER TABLE rbac.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE rbac.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY tenant ON rbac.%I
            USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'))$p$, name);
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE rbac.outbox, rbac.bindings, rbac.roles, rbac.revisions;
