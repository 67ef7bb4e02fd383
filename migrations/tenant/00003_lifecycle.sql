-- +goose Up
-- What a tenant is in, how it looks and what it may use. Steps that wait for
-- other services stand in the row until they are confirmed.
ALTER TABLE tenant.tenants
    ADD COLUMN state text NOT NULL DEFAULT 'active'
        CHECK (state IN ('provisioning', 'active', 'suspended', 'deleting', 'erased')),
    ADD COLUMN branding jsonb,
    ADD COLUMN limits jsonb,
    ADD COLUMN reason text NOT NULL DEFAULT '', -- why it is in its state
    ADD COLUMN delete_at timestamptz,
    ADD COLUMN restore_to text NOT NULL DEFAULT '', -- of a deleted one: its state before
    ADD COLUMN state_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN provision jsonb, -- while provisioning: what was asked of the other services
    ADD COLUMN step text NOT NULL DEFAULT '', -- while provisioning: what is waited for
    ADD COLUMN refusal jsonb, -- of one that could not be made: what its maker is told
    ADD COLUMN asked_at timestamptz; -- while others have to confirm: when they were last asked
SELECT set_config('buildify.tenant', '*', true);
UPDATE tenant.tenants SET state = 'suspended' WHERE NOT is_active;
ALTER TABLE tenant.tenants
    DROP COLUMN is_active,
    DROP CONSTRAINT tenants_code;
-- One that is erased frees its code.
CREATE UNIQUE INDEX tenants_code ON tenant.tenants (code) WHERE state <> 'erased';
CREATE INDEX tenants_due ON tenant.tenants (delete_at) WHERE state = 'deleting';
CREATE INDEX tenants_asked ON tenant.tenants (asked_at) WHERE asked_at IS NOT NULL;

-- Which services have erased what they had of a tenant; goes when all have.
CREATE TABLE tenant.erasures (
    tenant_id uuid NOT NULL REFERENCES tenant.tenants ON DELETE CASCADE,
    service   text NOT NULL,
    counts    jsonb NOT NULL,
    PRIMARY KEY (tenant_id, service)
);
ALTER TABLE tenant.erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant.erasures FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant.erasures
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- +goose Down
DROP TABLE tenant.erasures;
SELECT set_config('buildify.tenant', '*', true);
DELETE FROM tenant.tenants WHERE state = 'erased';
DROP INDEX tenant.tenants_code, tenant.tenants_due, tenant.tenants_asked;
ALTER TABLE tenant.tenants
    ADD COLUMN is_active boolean NOT NULL DEFAULT true,
    ADD CONSTRAINT tenants_code UNIQUE (code);
UPDATE tenant.tenants SET is_active = state = 'active';
ALTER TABLE tenant.tenants
    DROP COLUMN asked_at, DROP COLUMN refusal, DROP COLUMN step, DROP COLUMN provision, DROP COLUMN state_since,
    DROP COLUMN restore_to, DROP COLUMN delete_at, DROP COLUMN reason, DROP COLUMN limits, DROP COLUMN branding, DROP COLUMN state;
