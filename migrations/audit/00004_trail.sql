-- +goose Up
-- A record is its entry: one line, which is stored, exported and hashed into the
-- tenant's tree (docs/audit.md). All other columns are an index over it. A
-- partition a month of when it happened; what happened at no time that has one,
-- by a skewed clock for instance, is in events_default.
ALTER TABLE audit.events RENAME TO events_before;
ALTER TABLE audit.events_before RENAME CONSTRAINT events_pkey TO events_before_pkey;
ALTER INDEX audit.events_message RENAME TO events_before_message;
DROP INDEX audit.events_user, audit.events_action;

CREATE TABLE audit.events (
    tenant_id     uuid NOT NULL,
    tenant_seq    bigint NOT NULL,
    occurred_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    id            uuid NOT NULL,
    message_id    text NOT NULL,
    stream        text NOT NULL,
    type          text NOT NULL,
    source        text NOT NULL,
    action        text NOT NULL,
    outcome       text NOT NULL CHECK (outcome IN ('', 'success', 'failure', 'denied')),
    reason        text NOT NULL,
    user_id       uuid,
    module        text NOT NULL,
    key_id        text NOT NULL,
    on_behalf_of  uuid,
    resource_type text NOT NULL,
    resource_id   text NOT NULL,
    request_id    text NOT NULL,
    operation     text NOT NULL,
    address       text NOT NULL,
    agent         text NOT NULL,
    entry         bytea NOT NULL,
    leaf          bytea NOT NULL,
    PRIMARY KEY (tenant_id, tenant_seq, occurred_at),
    -- The same message always happened at the same time, so this knows it again.
    CONSTRAINT events_message UNIQUE (message_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX events_user ON audit.events (tenant_id, user_id, tenant_seq);
CREATE INDEX events_action ON audit.events (tenant_id, action, tenant_seq);
CREATE INDEX events_resource ON audit.events (tenant_id, resource_type, resource_id, tenant_seq);
CREATE INDEX events_id ON audit.events (id);
-- Few events are of these.
CREATE INDEX events_behalf ON audit.events (tenant_id, on_behalf_of, tenant_seq) WHERE on_behalf_of IS NOT NULL;
CREATE INDEX events_refused ON audit.events (tenant_id, outcome, tenant_seq) WHERE outcome IN ('failure', 'denied');
-- Events lie about in the order of their times, so this is small and costs ingest nothing.
CREATE INDEX events_time ON audit.events USING brin (occurred_at) WITH (pages_per_range = 32);
CREATE TABLE audit.events_default PARTITION OF audit.events DEFAULT;

-- The right edge of the tenant's tree, as trail.Frontier is written.
ALTER TABLE audit.heads ADD COLUMN frontier bytea NOT NULL DEFAULT '';

-- Tiles of the trees (C2SP tlog-tiles): the full ones of level 0, and those above
-- as far as they are.
CREATE TABLE audit.tiles (
    tenant_id uuid NOT NULL,
    level     int NOT NULL,
    n         bigint NOT NULL,
    hashes    bytea NOT NULL,
    PRIMARY KEY (tenant_id, level, n)
);

-- Leaves of a tile that is not full yet, whose events are gone by retention.
CREATE TABLE audit.kept_leaves (
    tenant_id  uuid NOT NULL,
    tenant_seq bigint NOT NULL,
    leaf       bytea NOT NULL,
    PRIMARY KEY (tenant_id, tenant_seq)
);

-- +goose StatementBegin
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['events', 'events_default', 'tiles', 'kept_leaves'] LOOP
        EXECUTE format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE audit.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY tenant ON audit.%I
            USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'))$p$, name);
    END LOOP;
END $$;
-- +goose StatementEnd

-- ensure_month makes the partition of a day's month, if there is none, and tells
-- whether it did. What the default partition has of that month moves over.
-- +goose StatementBegin
CREATE FUNCTION audit.ensure_month(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    scope text := coalesce(current_setting('buildify.tenant', true), '');
    first date := date_trunc('month', day)::date;
    next  date := (date_trunc('month', day) + interval '1 month')::date;
    name  text := 'events_' || to_char(first, 'YYYYMM');
    lower timestamptz := first::timestamp AT TIME ZONE 'UTC';
    upper timestamptz := next::timestamp AT TIME ZONE 'UTC';
BEGIN
    PERFORM pg_advisory_xact_lock('audit.events'::regclass::oid::bigint);
    IF to_regclass('audit.' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- What is being added waits, or else something of that month might get into
    -- the default partition behind what is moved.
    LOCK TABLE ONLY audit.events IN SHARE UPDATE EXCLUSIVE MODE;
    LOCK TABLE audit.events_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE audit.%I (LIKE audit.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    PERFORM set_config('buildify.tenant', '*', true); -- for these rows alone: see below
    EXECUTE format('WITH moved AS (DELETE FROM audit.events_default WHERE occurred_at >= %L AND occurred_at < %L RETURNING *)
        INSERT INTO audit.%I SELECT * FROM moved', lower, upper, name);
    PERFORM set_config('buildify.tenant', scope, true);
    EXECUTE format('ALTER TABLE audit.events ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)', name, lower, upper);
    EXECUTE format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE audit.%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($p$CREATE POLICY tenant ON audit.%I
        USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'))$p$, name);
    RETURN true;
END $$;
-- +goose StatementEnd

-- drop_month drops the partition of a day's month, and tells whether there was one.
-- +goose StatementBegin
CREATE FUNCTION audit.drop_month(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE name text := 'events_' || to_char(day, 'YYYYMM');
BEGIN
    PERFORM pg_advisory_xact_lock('audit.events'::regclass::oid::bigint);
    IF to_regclass('audit.' || name) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE audit.%I', name);
    RETURN true;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION audit.ensure_month(date), audit.drop_month(date) FROM PUBLIC;
-- +goose StatementBegin
DO $$ BEGIN
    EXECUTE format('GRANT EXECUTE ON FUNCTION audit.ensure_month(date), audit.drop_month(date) TO %I', 'buildify_audit');
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION audit.drop_month(date), audit.ensure_month(date);
DROP TABLE audit.kept_leaves, audit.tiles, audit.events;
ALTER TABLE audit.heads DROP COLUMN frontier;
ALTER TABLE audit.events_before RENAME TO events;
ALTER TABLE audit.events RENAME CONSTRAINT events_before_pkey TO events_pkey;
ALTER INDEX audit.events_before_message RENAME TO events_message;
CREATE INDEX events_user ON audit.events (tenant_id, user_id, tenant_seq);
CREATE INDEX events_action ON audit.events (tenant_id, action, tenant_seq);
