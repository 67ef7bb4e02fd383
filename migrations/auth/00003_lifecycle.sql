-- +goose Up
-- What is known of a tenant whose people change; its lock orders those who add
-- somebody, so that a limit holds, and keeps them from one that is erased.
CREATE TABLE auth.tenants (
    tenant_id     uuid PRIMARY KEY,
    erased        jsonb, -- how much was erased of it; nobody belongs to it from then on
    administrator jsonb  -- the outcome of looking for its first administrator
);
ALTER TABLE auth.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON auth.tenants
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- +goose Down
DROP TABLE auth.tenants;
