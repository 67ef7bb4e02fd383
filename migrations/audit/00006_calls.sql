-- +goose Up
-- The records of calls, a group of a tenant's in a row, as a service sent them:
-- lines of JSON, compressed. The nil UUID is for those that concerned no tenant.
CREATE TABLE audit.calls (
    tenant_id  uuid NOT NULL,
    last_at    timestamptz NOT NULL,
    batch_id   uuid NOT NULL,
    part       int NOT NULL,
    first_at   timestamptz NOT NULL,
    service    text NOT NULL,
    count      int NOT NULL,
    operations text[] NOT NULL,
    records    bytea NOT NULL,
    PRIMARY KEY (tenant_id, last_at, batch_id, part)
);
CREATE INDEX calls_age ON audit.calls (last_at);
ALTER TABLE audit.calls ALTER COLUMN records SET STORAGE EXTERNAL; -- it is compressed
ALTER TABLE audit.calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit.calls FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit.calls USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- +goose Down
DROP TABLE audit.calls;
