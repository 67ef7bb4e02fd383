-- +goose Up
-- How often, and when last, somebody tried a dead letter again.
ALTER TABLE audit.dead_letter
    ADD COLUMN tries int NOT NULL DEFAULT 0,
    ADD COLUMN tried_at timestamptz;

-- +goose Down
ALTER TABLE audit.dead_letter DROP COLUMN tried_at, DROP COLUMN tries;
