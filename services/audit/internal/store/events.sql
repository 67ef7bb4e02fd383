-- name: Heads :many
-- Creates and locks the heads of the tenants, in order, so that two ingesting
-- replicas cannot wait for each other.
INSERT INTO audit.heads (tenant_id, last_seq)
SELECT id, 0 FROM unnest(@tenant_ids::uuid[]) AS id ORDER BY id
ON CONFLICT (tenant_id) DO UPDATE SET last_seq = audit.heads.last_seq
RETURNING tenant_id, last_seq, erased, frontier;

-- name: AdvanceHeads :exec
UPDATE audit.heads SET last_seq = n.last_seq, frontier = n.frontier
FROM (SELECT unnest(@tenant_ids::uuid[]) AS tenant_id, unnest(@last_seqs::bigint[]) AS last_seq, unnest(@frontiers::bytea[]) AS frontier) AS n
WHERE audit.heads.tenant_id = n.tenant_id;

-- name: Known :many
-- The times that the messages happened at are those of the partitions to look in.
SELECT message_id FROM audit.events
WHERE message_id = ANY(@message_ids::text[]) AND occurred_at BETWEEN @first AND @last;

-- name: StoreEvents :exec
-- COPY is not to be had under row-level security. A user_id of '' is nobody.
INSERT INTO audit.events (tenant_id, tenant_seq, occurred_at, id, message_id, stream, type, source, action, outcome, reason,
    user_id, module, key_id, on_behalf_of, resource_type, resource_id, request_id, operation, address, agent, entry, leaf)
SELECT unnest(@tenant_ids::uuid[]), unnest(@tenant_seqs::bigint[]), unnest(@occurred_ats::timestamptz[]), unnest(@ids::uuid[]),
    unnest(@message_ids::text[]), unnest(@streams::text[]), unnest(@types::text[]), unnest(@sources::text[]), unnest(@actions::text[]), unnest(@outcomes::text[]),
    unnest(@reasons::text[]), nullif(unnest(@user_ids::text[]), '')::uuid, unnest(@modules::text[]), unnest(@key_ids::text[]),
    nullif(unnest(@on_behalf_ofs::text[]), '')::uuid, unnest(@resource_types::text[]), unnest(@resource_ids::text[]),
    unnest(@request_ids::text[]), unnest(@operations::text[]), unnest(@addresses::text[]), unnest(@agents::text[]),
    unnest(@entries::bytea[]), unnest(@leaves::bytea[]);

-- name: StorePoison :exec
INSERT INTO audit.dead_letter (stream, stream_seq, subject, headers, data, reason)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (stream, stream_seq) DO NOTHING;
