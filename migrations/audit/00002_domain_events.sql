-- +goose Up
-- The trail takes the domain events of stream EVENTS beside what modules log in
-- AUDIT. Events of no tenant are the platform's own, under the nil UUID.
ALTER TABLE audit.events
    ALTER COLUMN user_id DROP NOT NULL, -- an event need not have somebody who acted
    ADD COLUMN stream text NOT NULL DEFAULT 'AUDIT' CHECK (stream IN ('AUDIT', 'EVENTS')),
    ADD COLUMN outcome text NOT NULL DEFAULT 'success' CHECK (outcome IN ('', 'success', 'failure', 'denied'));
-- The defaults hold for what was logged before, and for that alone.
ALTER TABLE audit.events
    ALTER COLUMN stream DROP DEFAULT,
    ALTER COLUMN outcome DROP DEFAULT;

ALTER TABLE audit.dead_letter
    ADD COLUMN stream text NOT NULL DEFAULT 'AUDIT',
    DROP CONSTRAINT dead_letter_stream_seq_key,
    ADD CONSTRAINT dead_letter_message UNIQUE (stream, stream_seq);
ALTER TABLE audit.dead_letter ALTER COLUMN stream DROP DEFAULT;

-- +goose Down
DELETE FROM audit.dead_letter WHERE stream <> 'AUDIT';
ALTER TABLE audit.dead_letter
    DROP CONSTRAINT dead_letter_message,
    DROP COLUMN stream,
    ADD CONSTRAINT dead_letter_stream_seq_key UNIQUE (stream_seq);
-- What has its place in a trail stays there: somebody unknown becomes the nil UUID.
SELECT set_config('buildify.tenant', '*', true);
UPDATE audit.events SET user_id = '00000000-0000-0000-0000-000000000000' WHERE user_id IS NULL;
ALTER TABLE audit.events
    DROP COLUMN outcome,
    DROP COLUMN stream,
    ALTER COLUMN user_id SET NOT NULL;
