-- +goose Up
CREATE SCHEMA IF NOT EXISTS tenant;

CREATE SEQUENCE tenant.revision;

CREATE TABLE tenant.tenants (
    id         uuid PRIMARY KEY,
    code       text NOT NULL CONSTRAINT tenants_code UNIQUE,
    name       text NOT NULL,
    is_active  boolean NOT NULL DEFAULT true,
    revision   bigint NOT NULL DEFAULT nextval('tenant.revision'),
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE tenant.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant.tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant.tenants
    USING (current_setting('buildify.tenant', true) IN (id::text, '*'));

CREATE TABLE tenant.activations (
    tenant_id  uuid NOT NULL REFERENCES tenant.tenants ON DELETE CASCADE,
    module     text NOT NULL,
    enabled    boolean NOT NULL,
    revision   bigint NOT NULL DEFAULT nextval('tenant.revision'),
    PRIMARY KEY (tenant_id, module)
);
ALTER TABLE tenant.activations ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant.activations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant.activations
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

CREATE TABLE tenant.outbox (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event   jsonb NOT NULL
);

-- +goose Down
DROP TABLE tenant.outbox, tenant.activations, tenant.tenants;
DROP SEQUENCE tenant.revision;
