-- +goose Up
-- What the registry holds is the platform's, not a tenant's: no row-level
-- security; who may see a module is decided by its owner and visibility.
CREATE TABLE tenant.modules (
    id         text PRIMARY KEY,
    owner_id   uuid NOT NULL,
    name       text NOT NULL,
    category   text NOT NULL DEFAULT '',
    visibility text NOT NULL DEFAULT 'all',
    allowed    uuid[] NOT NULL DEFAULT '{}',
    suspended  text NOT NULL DEFAULT '',
    -- whether rbac knows the permissions of what is published
    declared   boolean NOT NULL DEFAULT true,
    revision   bigint NOT NULL DEFAULT nextval('tenant.revision'),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenant.module_versions (
    module          text NOT NULL REFERENCES tenant.modules ON DELETE CASCADE,
    version         text NOT NULL,
    state           text NOT NULL DEFAULT 'draft',
    suspended       text NOT NULL DEFAULT '',
    source          text NOT NULL,                      -- the manifest as written: findings name its lines
    manifest        json NOT NULL,                      -- version 2, its members in their order
    findings        jsonb NOT NULL DEFAULT '[]',
    asks            text[] NOT NULL DEFAULT '{}',
    automatic       boolean NOT NULL DEFAULT false,
    comment         text NOT NULL DEFAULT '',
    rollout_percent integer NOT NULL DEFAULT 100,
    rollout_tenants uuid[] NOT NULL DEFAULT '{}',
    submitted_by    text NOT NULL DEFAULT '',
    decided_by      text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL DEFAULT now(),
    submitted_at    timestamptz,
    decided_at      timestamptz,
    published_at    timestamptz,
    revision        bigint NOT NULL DEFAULT nextval('tenant.revision'),
    PRIMARY KEY (module, version)
);
CREATE INDEX module_versions_waiting ON tenant.module_versions (submitted_at) WHERE state = 'submitted';

CREATE TABLE tenant.assets (
    digest     text PRIMARY KEY, -- SHA-384 in hexadecimal
    size       bigint NOT NULL,
    complete   boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenant.asset_parts (
    digest text NOT NULL REFERENCES tenant.assets ON DELETE CASCADE,
    place  bigint NOT NULL, -- offset in bytes
    data   bytea NOT NULL,
    PRIMARY KEY (digest, place)
);

CREATE TABLE tenant.module_files (
    module  text NOT NULL,
    version text NOT NULL,
    path    text NOT NULL,
    digest  text NOT NULL, -- of an asset, once that is uploaded
    size    bigint NOT NULL,
    PRIMARY KEY (module, version, path),
    FOREIGN KEY (module, version) REFERENCES tenant.module_versions ON DELETE CASCADE
);
CREATE INDEX module_files_digest ON tenant.module_files (digest);

-- Without a version it is enabled by the operator, without a manifest.
ALTER TABLE tenant.activations
    ADD COLUMN installed    boolean NOT NULL DEFAULT false,
    ADD COLUMN version      text NOT NULL DEFAULT '',
    ADD COLUMN range        text NOT NULL DEFAULT '', -- followed; empty is pinned
    ADD COLUMN scopes       text[],                   -- consented to; null is all
    ADD COLUMN installed_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN updated_at   timestamptz NOT NULL DEFAULT now();
CREATE INDEX activations_module ON tenant.activations (module) WHERE installed;

CREATE TABLE tenant.hooks (
    id           uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL REFERENCES tenant.tenants ON DELETE CASCADE,
    module       text NOT NULL,
    event        text NOT NULL,
    version      text NOT NULL DEFAULT '',
    from_version text NOT NULL DEFAULT '',
    erase_data   boolean NOT NULL DEFAULT false,
    at           timestamptz NOT NULL DEFAULT now(),
    attempt      integer NOT NULL DEFAULT 0,
    retries      integer NOT NULL DEFAULT 20, -- told so often, it is told no more, and stays listed
    next_at      timestamptz NOT NULL DEFAULT now(),
    failed       text NOT NULL DEFAULT ''
);
CREATE INDEX hooks_module ON tenant.hooks (module, at, id);
CREATE INDEX hooks_due ON tenant.hooks (next_at) WHERE attempt < retries;
ALTER TABLE tenant.hooks ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant.hooks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant.hooks
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- +goose Down
DROP TABLE tenant.hooks, tenant.module_files, tenant.asset_parts, tenant.assets, tenant.module_versions, tenant.modules;
ALTER TABLE tenant.activations DROP COLUMN installed, DROP COLUMN version, DROP COLUMN range, DROP COLUMN scopes,
    DROP COLUMN installed_at, DROP COLUMN updated_at;
