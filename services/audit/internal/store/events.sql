-- name: Heads :many
-- Creates and locks the heads of the tenants, in order, so that two ingesting
-- replicas cannot wait for each other.
INSERT INTO audit.heads (tenant_id, last_seq)
SELECT id, 0 FROM unnest(@tenant_ids::uuid[]) AS id ORDER BY id
ON CONFLICT (tenant_id) DO UPDATE SET last_seq = audit.heads.last_seq
RETURNING tenant_id, last_seq, erased;

-- name: AdvanceHeads :exec
UPDATE audit.heads SET last_seq = n.last_seq
FROM (SELECT unnest(@tenant_ids::uuid[]) AS tenant_id, unnest(@last_seqs::bigint[]) AS last_seq) AS n
WHERE audit.heads.tenant_id = n.tenant_id;

-- name: Known :many
SELECT message_id FROM audit.events WHERE message_id = ANY(@message_ids::text[]);

-- name: StoreEvents :exec
-- COPY is not to be had under row-level security. A user_id of '' is nobody.
INSERT INTO audit.events (tenant_id, tenant_seq, id, message_id, occurred_at, user_id, source, action,
    resource_type, resource_id, request_id, outcome, received, stream)
SELECT unnest(@tenant_ids::uuid[]), unnest(@tenant_seqs::bigint[]), unnest(@ids::uuid[]), unnest(@message_ids::text[]),
    unnest(@occurred_ats::timestamptz[]), nullif(unnest(@user_ids::text[]), '')::uuid, unnest(@sources::text[]), unnest(@actions::text[]),
    unnest(@resource_types::text[]), unnest(@resource_ids::text[]), unnest(@request_ids::text[]), unnest(@outcomes::text[]),
    unnest(@received::bytea[]), @stream::text;

-- name: StorePoison :exec
INSERT INTO audit.dead_letter (stream, stream_seq, subject, headers, data, reason)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (stream, stream_seq) DO NOTHING;

-- name: ListEvents :many
SELECT tenant_id, tenant_seq, id, occurred_at, user_id, source, action, resource_type, resource_id, outcome, received, stream
FROM audit.events
WHERE tenant_id = @tenant_id
  AND tenant_seq < @before
  AND (sqlc.narg(user_id)::uuid IS NULL OR user_id = sqlc.narg(user_id)::uuid)
  AND (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action)::text)
ORDER BY tenant_seq DESC
LIMIT @page;
