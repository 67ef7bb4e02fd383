-- name: FollowEvents :many
-- The events in a stretch of a trail, the oldest first.
SELECT *
FROM audit.events
WHERE tenant_id = @tenant_id
  AND tenant_seq > @after AND tenant_seq <= @through
  AND (sqlc.narg(user_id)::uuid IS NULL OR user_id = sqlc.narg(user_id)::uuid)
  AND (sqlc.narg(action)::text IS NULL OR action LIKE sqlc.narg(action)::text)
  AND (sqlc.narg(outcome)::text IS NULL OR outcome = sqlc.narg(outcome)::text)
ORDER BY tenant_seq
LIMIT @page;
