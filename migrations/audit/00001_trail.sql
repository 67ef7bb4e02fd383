-- +goose Up
CREATE SCHEMA IF NOT EXISTS audit;

-- The head of a tenant's trail; its lock orders ingest within the tenant.
CREATE TABLE audit.heads (
    tenant_id uuid PRIMARY KEY,
    last_seq  bigint NOT NULL
);

CREATE TABLE audit.events (
    tenant_id     uuid NOT NULL,
    tenant_seq    bigint NOT NULL,
    id            uuid NOT NULL,
    message_id    text NOT NULL,
    occurred_at   timestamptz NOT NULL,
    user_id       uuid NOT NULL,
    source        text NOT NULL,
    action        text NOT NULL,
    resource_type text NOT NULL,
    resource_id   text NOT NULL,
    request_id    text NOT NULL,
    received      bytea NOT NULL, -- the event's data, byte for byte as received
    PRIMARY KEY (tenant_id, tenant_seq)
);
CREATE UNIQUE INDEX events_message ON audit.events (message_id);
CREATE INDEX events_user ON audit.events (tenant_id, user_id, tenant_seq);
CREATE INDEX events_action ON audit.events (tenant_id, action, tenant_seq);

-- What could not be stored, kept for inspection.
CREATE TABLE audit.dead_letter (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_seq  bigint NOT NULL UNIQUE,
    subject     text NOT NULL,
    headers     jsonb NOT NULL,
    data        bytea NOT NULL,
    reason      text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);

-- +goose StatementBegin
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['heads', 'events'] LOOP
        EXECUTE format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE audit.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY tenant ON audit.%I
            USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'))$p$, name);
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit.dead_letter, audit.events, audit.heads;
