-- +goose Up
-- A platform administrator has no home tenant.
ALTER TABLE auth.users
    ALTER COLUMN tenant_id DROP NOT NULL,
    ADD COLUMN platform boolean NOT NULL DEFAULT false,
    ADD COLUMN name text NOT NULL DEFAULT '',
    ADD COLUMN disabled_at timestamptz,
    ADD COLUMN must_change_password boolean NOT NULL DEFAULT false,
    ADD COLUMN password_changed_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN last_login_at timestamptz,
    ADD CONSTRAINT users_home CHECK (platform = (tenant_id IS NULL));
-- An empty password_hash is an invited or reset user's: nothing matches it.
CREATE INDEX users_tenant_email ON auth.users (tenant_id, email, id);

-- What a person belongs to beside the home tenant.
CREATE TABLE auth.memberships (
    user_id    uuid NOT NULL REFERENCES auth.users,
    tenant_id  uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, tenant_id)
);
CREATE INDEX memberships_tenant ON auth.memberships (tenant_id);

-- What belongs to a person carries the person's home tenant, NULL for a
-- platform administrator.
CREATE TABLE auth.sessions (
    id               uuid PRIMARY KEY,
    user_id          uuid NOT NULL REFERENCES auth.users,
    tenant_id        uuid,
    acting_tenant    uuid, -- the tenant that tokens are issued for; NULL is none
    methods          text[] NOT NULL,
    address          text NOT NULL,
    agent            text NOT NULL,
    authenticated_at timestamptz NOT NULL DEFAULT now(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    last_used_at     timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL, -- slides with use, up to absolute_until
    absolute_until   timestamptz NOT NULL,
    ended_at         timestamptz,
    end_reason       text NOT NULL DEFAULT '',
    revoked_until    timestamptz -- when the last access token of an ended session has expired
);
CREATE INDEX sessions_user ON auth.sessions (user_id, last_used_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_known_source ON auth.sessions (user_id, address, created_at);
CREATE INDEX sessions_revoked ON auth.sessions (id) WHERE revoked_until IS NOT NULL;
CREATE INDEX sessions_expiry ON auth.sessions (expires_at);

-- Only the MAC of a refresh token is kept; its successor is derived from it.
CREATE TABLE auth.refresh_tokens (
    mac        bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES auth.sessions ON DELETE CASCADE,
    tenant_id  uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    spent_at   timestamptz
);
CREATE INDEX refresh_tokens_session ON auth.refresh_tokens (session_id);

CREATE TABLE auth.password_history (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES auth.users,
    tenant_id     uuid,
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX password_history_user ON auth.password_history (user_id, id);

-- Links in e-mails, one use each.
CREATE TABLE auth.links (
    mac        bytea PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES auth.users,
    tenant_id  uuid,
    purpose    text NOT NULL CHECK (purpose IN ('invite', 'reset')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX links_user ON auth.links (user_id);

CREATE TABLE auth.totp (
    user_id      uuid PRIMARY KEY REFERENCES auth.users,
    tenant_id    uuid,
    sealed       bytea NOT NULL,
    confirmed_at timestamptz,
    last_counter bigint NOT NULL DEFAULT 0, -- a code is good once
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE auth.recovery_codes (
    user_id    uuid NOT NULL REFERENCES auth.users,
    tenant_id  uuid,
    mac        bytea NOT NULL,
    used_at    timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, mac)
);

CREATE TABLE auth.passkeys (
    id           bytea PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES auth.users,
    tenant_id    uuid,
    name         text NOT NULL,
    credential   jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz
);
CREATE INDEX passkeys_user ON auth.passkeys (user_id);

-- +goose StatementBegin
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['memberships', 'sessions', 'refresh_tokens', 'password_history', 'links',
                                'totp', 'recovery_codes', 'passkeys'] LOOP
        EXECUTE format('ALTER TABLE auth.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE auth.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY tenant ON auth.%I
            USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'))$p$, name);
    END LOOP;
END $$;
-- +goose StatementEnd

-- What a login or a passkey ceremony still waits for; belongs to nobody until
-- it is met.
CREATE TABLE auth.challenges (
    mac        bytea PRIMARY KEY,
    purpose    text NOT NULL,
    user_id    uuid,
    sealed     bytea NOT NULL,
    attempts   int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX challenges_expiry ON auth.challenges (expires_at);

-- Tenants' policies as JSON objects; what is absent is the platform's default.
CREATE TABLE auth.policies (
    tenant_id  uuid PRIMARY KEY,
    password   jsonb NOT NULL DEFAULT '{}',
    sign_in    jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE auth.policies ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.policies FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON auth.policies
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- Failed logins, by the MAC of account, source or both.
CREATE TABLE auth.throttles (
    key      bytea PRIMARY KEY,
    failures int NOT NULL,
    last_at  timestamptz NOT NULL DEFAULT now(),
    until    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX throttles_last ON auth.throttles (last_at);

-- E-mails that wait to be sent; sealed, for they hold links.
CREATE TABLE auth.mails (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sealed     bytea NOT NULL,
    attempts   int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    next_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX mails_next ON auth.mails (next_at);

ALTER TABLE auth.api_keys
    ADD COLUMN name text NOT NULL DEFAULT '',
    ADD COLUMN tenants uuid[] NOT NULL DEFAULT '{}', -- empty: every tenant that enabled the module
    ADD COLUMN cidrs text[] NOT NULL DEFAULT '{}',
    ADD COLUMN rate_class text NOT NULL DEFAULT 'standard',
    ADD COLUMN rotated_from text REFERENCES auth.api_keys,
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN last_used_address text NOT NULL DEFAULT '',
    ADD COLUMN warned_days int; -- the last warning before its end was this many days before
CREATE INDEX api_keys_expiry ON auth.api_keys (expires_at) WHERE revoked_at IS NULL AND expires_at IS NOT NULL;

ALTER TABLE auth.signing_keys
    ADD COLUMN retired_at timestamptz,  -- signs no more from then on
    ADD COLUMN trusted_until timestamptz; -- verifies no more from then on

-- +goose Down
DROP TABLE auth.mails, auth.throttles, auth.policies, auth.challenges, auth.passkeys, auth.recovery_codes, auth.totp,
    auth.links, auth.password_history, auth.refresh_tokens, auth.sessions, auth.memberships;
ALTER TABLE auth.signing_keys DROP COLUMN trusted_until, DROP COLUMN retired_at;
ALTER TABLE auth.api_keys
    DROP COLUMN warned_days, DROP COLUMN last_used_address, DROP COLUMN last_used_at, DROP COLUMN created_by,
    DROP COLUMN rotated_from, DROP COLUMN rate_class, DROP COLUMN cidrs, DROP COLUMN tenants, DROP COLUMN name;
ALTER TABLE auth.users
    DROP CONSTRAINT users_home, DROP COLUMN last_login_at, DROP COLUMN password_changed_at, DROP COLUMN must_change_password,
    DROP COLUMN disabled_at, DROP COLUMN name, DROP COLUMN platform, ALTER COLUMN tenant_id SET NOT NULL;
