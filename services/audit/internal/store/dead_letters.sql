-- name: ListDeadLetters :many
-- The newest first. What a message names in its headers is what it says.
SELECT id, stream, stream_seq, subject, reason, received_at, tries, tried_at, length(data)::int AS bytes,
    coalesce(headers->'ce-type'->>0, '')::text AS type, coalesce(headers->'ce-tenantid'->>0, '')::text AS tenant
FROM audit.dead_letter
WHERE id < @before
  AND (sqlc.narg(stream)::text IS NULL OR stream = sqlc.narg(stream)::text)
  AND (strpos(lower(subject), lower(@search::text)) > 0 OR strpos(lower(reason), lower(@search::text)) > 0)
ORDER BY id DESC
LIMIT @page;

-- name: CountDeadLetters :one
SELECT count(*) FROM audit.dead_letter;

-- name: GetDeadLetter :one
SELECT * FROM audit.dead_letter WHERE id = $1;

-- name: LockDeadLetter :one
SELECT * FROM audit.dead_letter WHERE id = $1 FOR UPDATE;

-- name: FailDeadLetter :exec
UPDATE audit.dead_letter SET tries = tries + 1, tried_at = now(), reason = @reason WHERE id = @id;

-- name: DeleteDeadLetter :exec
DELETE FROM audit.dead_letter WHERE id = $1;

-- name: PlaceOf :one
-- Where a message is in a trail, by when it happened, which it always says alike.
SELECT tenant_id, id, tenant_seq FROM audit.events WHERE message_id = @message_id AND occurred_at = @occurred_at;
