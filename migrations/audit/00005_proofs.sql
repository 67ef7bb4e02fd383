-- +goose Up
-- Keys that checkpoints are signed with, the private half sealed; the newest that
-- is not retired signs.
CREATE TABLE audit.signing_keys (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verifier   text NOT NULL UNIQUE, -- the public key, as C2SP signed-note writes it
    sealed     bytea,                -- null once it is retired
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz
);

-- What was signed of each tenant's tree, and where it has been published.
CREATE TABLE audit.checkpoints (
    tenant_id    uuid NOT NULL,
    size         bigint NOT NULL,
    root         bytea NOT NULL,
    note         text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    PRIMARY KEY (tenant_id, size)
);
CREATE INDEX checkpoints_unpublished ON audit.checkpoints (tenant_id, size) WHERE published_at IS NULL;
ALTER TABLE audit.checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit.checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit.checkpoints USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- +goose Down
DROP TABLE audit.checkpoints, audit.signing_keys;
