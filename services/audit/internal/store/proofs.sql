-- name: SigningKeys :many
SELECT * FROM audit.signing_keys ORDER BY id DESC;

-- name: LockSigningKeys :exec
LOCK TABLE audit.signing_keys IN SHARE ROW EXCLUSIVE MODE;

-- name: AddSigningKey :exec
INSERT INTO audit.signing_keys (verifier, sealed) VALUES (@verifier, @sealed);

-- name: RetireSigningKeys :exec
UPDATE audit.signing_keys SET sealed = NULL, retired_at = now() WHERE retired_at IS NULL;

-- name: TryCheckpointing :one
-- One replica at a time.
SELECT pg_try_advisory_xact_lock('audit.checkpoints'::regclass::oid::bigint);

-- name: GrownTrails :many
-- Trails that are not as their last checkpoint says, after a tenant in order: they
-- should have grown.
SELECT h.tenant_id, h.frontier, coalesce(c.size, 0)::bigint AS size, c.root
FROM audit.heads h
LEFT JOIN LATERAL (
    SELECT p.size, p.root FROM audit.checkpoints p WHERE p.tenant_id = h.tenant_id ORDER BY p.size DESC LIMIT 1
) c ON true
WHERE (sqlc.narg(after)::uuid IS NULL OR h.tenant_id > sqlc.narg(after)::uuid) AND NOT h.erased AND h.last_seq <> coalesce(c.size, 0) AND (length(h.frontier) > 0 OR c.size > 0)
ORDER BY h.tenant_id LIMIT @page;

-- name: TryPublishing :one
-- One replica at a time publishes a trail's.
SELECT pg_try_advisory_xact_lock('audit.checkpoints'::regclass::oid::int, hashtext(@tenant_id::text));

-- name: AddCheckpoint :exec
INSERT INTO audit.checkpoints (tenant_id, size, root, note) VALUES (@tenant_id, @size, @root, @note);

-- name: Checkpoint :one
-- The first one of that size or more.
SELECT * FROM audit.checkpoints WHERE tenant_id = @tenant_id AND size >= @size ORDER BY size LIMIT 1;

-- name: LatestCheckpoint :one
SELECT * FROM audit.checkpoints WHERE tenant_id = @tenant_id ORDER BY size DESC LIMIT 1;

-- name: ListCheckpoints :many
SELECT * FROM audit.checkpoints WHERE tenant_id = @tenant_id AND size < @before ORDER BY size DESC LIMIT @page;

-- name: Unpublished :many
-- The newest unpublished checkpoint of each tenant, and the newest published one.
SELECT DISTINCT ON (c.tenant_id) c.tenant_id, c.size, c.root, c.note,
    coalesce((SELECT max(p.size) FROM audit.checkpoints p WHERE p.tenant_id = c.tenant_id AND p.published_at IS NOT NULL), 0)::bigint AS published
FROM audit.checkpoints c WHERE c.published_at IS NULL AND (sqlc.narg(after)::uuid IS NULL OR c.tenant_id > sqlc.narg(after)::uuid)
ORDER BY c.tenant_id, c.size DESC LIMIT @page;

-- name: Published :exec
UPDATE audit.checkpoints SET published_at = now(), note = CASE WHEN size = @size THEN @note ELSE note END
WHERE tenant_id = @tenant_id AND size <= @size AND published_at IS NULL;

-- name: EraseCheckpoints :exec
DELETE FROM audit.checkpoints WHERE tenant_id = $1;

-- name: Tile :one
SELECT hashes FROM audit.tiles WHERE tenant_id = @tenant_id AND level = @level AND n = @n;

-- name: EntryAt :one
SELECT entry FROM audit.events WHERE tenant_id = @tenant_id AND tenant_seq = @sequence;
