-- +goose Up
-- Up to which event of stream EVENTS modules were given theirs. Whoever gives them
-- holds the row.
CREATE TABLE audit.granted (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint NOT NULL
);

-- +goose Down
DROP TABLE audit.granted;
