-- +goose Up
-- Companies, branches and departments. A removed unit stays, so that whoever
-- follows the events learns of it in a snapshot too.
CREATE TABLE tenant.units (
    tenant_id uuid NOT NULL REFERENCES tenant.tenants ON DELETE CASCADE,
    id        uuid NOT NULL,
    kind      text NOT NULL,
    parent_id uuid,
    name      text NOT NULL,
    removed   boolean NOT NULL DEFAULT false,
    revision  bigint NOT NULL DEFAULT nextval('tenant.revision'),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES tenant.units (tenant_id, id)
);
CREATE INDEX units_parent ON tenant.units (tenant_id, parent_id);
ALTER TABLE tenant.units ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant.units FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant.units
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));

-- +goose Down
DROP TABLE tenant.units;
