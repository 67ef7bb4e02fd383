-- +goose Up
CREATE SCHEMA IF NOT EXISTS auth;

CREATE SEQUENCE auth.revision;

CREATE TABLE auth.users (
    id            uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL,
    email         text NOT NULL CHECK (email = lower(email)),
    username      text NOT NULL,
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    deleted_at    timestamptz,
    revision      bigint NOT NULL DEFAULT nextval('auth.revision')
);
-- A tombstone frees its address.
CREATE UNIQUE INDEX users_email ON auth.users (email) WHERE deleted_at IS NULL;
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.users FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON auth.users
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- A module's keys belong to the module, not to a tenant.
CREATE TABLE auth.api_keys (
    id          text PRIMARY KEY,
    module      text NOT NULL,
    environment text NOT NULL,
    secret_hmac bytea NOT NULL,
    operations  text[] NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    revoked_at  timestamptz
);

-- Private keys are sealed with a key derived from the installation's secret.
CREATE TABLE auth.signing_keys (
    kid        text PRIMARY KEY,
    public_key bytea NOT NULL,
    sealed_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE auth.outbox (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event   jsonb NOT NULL
);

-- +goose Down
DROP TABLE auth.outbox, auth.signing_keys, auth.api_keys, auth.users;
DROP SEQUENCE auth.revision;
