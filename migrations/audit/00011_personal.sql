-- +goose Up
-- The keys under which what is personal in the trails is sealed, one a person and
-- tenant, themselves sealed under the installation's secret. Without its row nobody
-- reads it any more.
CREATE TABLE audit.person_keys (
    tenant_id  uuid NOT NULL,
    person_id  uuid NOT NULL,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, person_id)
);
ALTER TABLE audit.person_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit.person_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit.person_keys USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- +goose Down
DROP TABLE audit.person_keys;
