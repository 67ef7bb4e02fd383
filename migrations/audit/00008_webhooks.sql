-- +goose Up
-- Where a tenant or a module has events sent. A module's webhooks belong to no
-- tenant, which is the nil UUID.
CREATE TABLE audit.webhooks (
    id              uuid PRIMARY KEY,
    tenant_id       uuid NOT NULL,
    module          text NOT NULL DEFAULT '',
    key_id          text NOT NULL DEFAULT '', -- the API key it was made with: it ends with that
    tenants         uuid[] NOT NULL DEFAULT '{}', -- the only ones whose events are sent
    url             text NOT NULL,
    types           text[] NOT NULL,
    description     text NOT NULL DEFAULT '',
    secret          bytea NOT NULL, -- sealed
    old_secret      bytea,
    old_until       timestamptz,
    enabled         boolean NOT NULL DEFAULT true,
    disabled_reason text NOT NULL DEFAULT '',
    disabled_at     timestamptz,
    failing_since   timestamptz,
    given_up        integer NOT NULL DEFAULT 0, -- deliveries in a row
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    revision        bigint NOT NULL DEFAULT 1,
    CHECK ((module = '') = (tenant_id <> '00000000-0000-0000-0000-000000000000'))
);
CREATE INDEX webhooks_owner ON audit.webhooks (tenant_id, module, id);

-- An event on its way to a webhook. What a deleted webhook leaves is swept.
CREATE TABLE audit.webhook_deliveries (
    id           uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL, -- the webhook's
    webhook_id   uuid NOT NULL,
    event_id     text NOT NULL,
    event_type   text NOT NULL,
    event_tenant uuid NOT NULL, -- the nil UUID for the platform's own
    event_time   timestamptz NOT NULL,
    body         bytea NOT NULL, -- the structured CloudEvent, as it is sent and signed
    state        text NOT NULL CHECK (state IN ('waiting', 'sent', 'failed', 'missed')),
    attempts     integer NOT NULL DEFAULT 0,
    tried        integer NOT NULL DEFAULT 0, -- attempts since it was queued last
    due_at       timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz, -- some replica sends it until then
    created_at   timestamptz NOT NULL DEFAULT now(),
    settled_at   timestamptz,
    UNIQUE (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON audit.webhook_deliveries (webhook_id, due_at) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_log ON audit.webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_age ON audit.webhook_deliveries (created_at);

CREATE TABLE audit.webhook_attempts (
    tenant_id   uuid NOT NULL,
    delivery_id uuid NOT NULL REFERENCES audit.webhook_deliveries ON DELETE CASCADE,
    number      integer NOT NULL,
    at          timestamptz NOT NULL,
    status      integer NOT NULL, -- 0 is no answer
    latency_ms  integer NOT NULL,
    answer      text NOT NULL,
    error       text NOT NULL,
    PRIMARY KEY (delivery_id, number)
);

-- +goose StatementBegin
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['webhooks', 'webhook_deliveries', 'webhook_attempts'] LOOP
        EXECUTE format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE audit.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY tenant ON audit.%I
            USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'))$p$, name);
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit.webhook_attempts, audit.webhook_deliveries, audit.webhooks;
