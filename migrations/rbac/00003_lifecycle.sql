-- +goose Up
-- How much was erased of a tenant; its policy does not change from then on.
ALTER TABLE rbac.revisions ADD COLUMN erased jsonb;

-- +goose Down
ALTER TABLE rbac.revisions DROP COLUMN erased;
