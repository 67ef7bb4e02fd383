-- +goose Up
-- Rules on a tenant's trail. Events up to from_seq do not count.
CREATE TABLE audit.alerts (
    tenant_id  uuid NOT NULL,
    id         uuid NOT NULL,
    name       text NOT NULL,
    rule       jsonb NOT NULL,
    enabled    boolean NOT NULL,
    from_seq   bigint NOT NULL,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    revision   bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX alerts_name ON audit.alerts (tenant_id, lower(name));

-- Up to where a tenant's trail was held against its alerts. Its lock keeps
-- replicas apart; only tenants with alerts have one.
CREATE TABLE audit.alert_cursors (
    tenant_id uuid PRIMARY KEY,
    seq       bigint NOT NULL
);

-- What an alert has counted of whom: when the last events occurred, no more of
-- them than raise it, and until when it is not raised again.
CREATE TABLE audit.alert_counts (
    tenant_id   uuid NOT NULL,
    alert_id    uuid NOT NULL,
    key         text NOT NULL,
    times       timestamptz[] NOT NULL,
    quiet_until timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL, -- it says nothing any more
    PRIMARY KEY (tenant_id, alert_id, key)
);
CREATE INDEX alert_counts_age ON audit.alert_counts (expires_at);

-- For how long tenants' trails are kept. NULL is as the installation's rule
-- says, 0 for ever.
CREATE TABLE audit.retention (
    tenant_id  uuid PRIMARY KEY,
    keep_days  int CHECK (keep_days >= 0),
    reason     text NOT NULL,
    set_by     uuid,
    updated_at timestamptz NOT NULL DEFAULT now(),
    revision   bigint NOT NULL DEFAULT 1
);

-- Legal holds, of a tenant's whole trail or what concerns a person or resource.
CREATE TABLE audit.holds (
    id             uuid PRIMARY KEY,
    tenant_id      uuid NOT NULL,
    user_id        uuid,
    resource_type  text,
    resource_id    text,
    reason         text NOT NULL,
    placed_by      uuid,
    placed_at      timestamptz NOT NULL DEFAULT now(),
    released_by    uuid,
    released_at    timestamptz,
    release_reason text NOT NULL DEFAULT ''
);
CREATE INDEX holds_tenant ON audit.holds (tenant_id, id);

-- Tenants that were deleted and whose trail a hold keeps.
CREATE TABLE audit.held_erasures (
    tenant_id uuid PRIMARY KEY,
    asked_at  timestamptz NOT NULL DEFAULT now()
);

-- +goose StatementBegin
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['alerts', 'alert_cursors', 'alert_counts', 'retention', 'holds', 'held_erasures'] LOOP
        EXECUTE format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE audit.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY tenant ON audit.%I
            USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'))$p$, name);
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit.held_erasures, audit.holds, audit.retention, audit.alert_counts, audit.alert_cursors, audit.alerts;
