-- +goose Up
-- Whether the tenant consented that the module follows its policy.
ALTER TABLE rbac.modules ADD COLUMN fed boolean NOT NULL DEFAULT true;

-- +goose Down
ALTER TABLE rbac.modules DROP COLUMN fed;
