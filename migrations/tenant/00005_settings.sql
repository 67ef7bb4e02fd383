-- +goose Up
-- One row is one layer of one set of settings: the platform's under the nil
-- tenant, a tenant's under the nil user.
CREATE TABLE tenant.settings (
    tenant_id  uuid NOT NULL,
    user_id    uuid NOT NULL,
    namespace  text NOT NULL,
    plain      jsonb NOT NULL DEFAULT '{}', -- values by key
    sealed     jsonb NOT NULL DEFAULT '{}', -- secrets by key, encrypted, in base64
    revision   bigint NOT NULL DEFAULT nextval('tenant.revision'),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id, namespace)
);
CREATE INDEX settings_user ON tenant.settings (user_id) WHERE user_id <> '00000000-0000-0000-0000-000000000000';
CREATE INDEX settings_sealed ON tenant.settings (tenant_id) WHERE sealed <> '{}';
ALTER TABLE tenant.settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant.settings FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant.settings
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));
-- What holds for all, all may read.
CREATE POLICY platform ON tenant.settings FOR SELECT
    USING (tenant_id = '00000000-0000-0000-0000-000000000000');

CREATE TABLE tenant.settings_history (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL,
    user_id   uuid NOT NULL,
    namespace text NOT NULL,
    key       text NOT NULL,
    before    jsonb,
    after     jsonb,
    secret    boolean NOT NULL,
    by_user   text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX settings_history_namespace ON tenant.settings_history (tenant_id, namespace, id);
CREATE INDEX settings_history_user ON tenant.settings_history (user_id) WHERE user_id <> '00000000-0000-0000-0000-000000000000';
ALTER TABLE tenant.settings_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant.settings_history FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant.settings_history
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));
CREATE POLICY platform ON tenant.settings_history FOR SELECT
    USING (tenant_id = '00000000-0000-0000-0000-000000000000');

-- +goose Down
DROP TABLE tenant.settings_history, tenant.settings;
