-- +goose Up
-- The trail of an erased tenant is gone, and takes nothing more.
ALTER TABLE audit.heads ADD COLUMN erased boolean NOT NULL DEFAULT false;

CREATE TABLE audit.outbox (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event   jsonb NOT NULL
);

-- +goose Down
DROP TABLE audit.outbox;
ALTER TABLE audit.heads DROP COLUMN erased;
