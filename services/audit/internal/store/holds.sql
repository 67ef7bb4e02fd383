-- name: LockHolds :exec
-- Whoever removes something of a trail, or places a hold, is alone: a hold that
-- was placed holds.
SELECT pg_advisory_xact_lock('audit.holds'::regclass::oid::bigint);

-- name: TrailErased :one
SELECT EXISTS (SELECT FROM audit.heads WHERE tenant_id = @tenant_id AND erased);

-- name: PlaceHold :one
INSERT INTO audit.holds (id, tenant_id, user_id, resource_type, resource_id, reason, placed_by)
VALUES (@id, @tenant_id, @user_id, @resource_type, @resource_id, @reason, @placed_by)
RETURNING *;

-- name: LockHold :one
SELECT * FROM audit.holds WHERE id = @id FOR UPDATE;

-- name: ReleaseHold :one
UPDATE audit.holds SET released_at = now(), released_by = @released_by, release_reason = @reason WHERE id = @id
RETURNING *;

-- name: ListHolds :many
SELECT sqlc.embed(h), (h.released_at IS NULL AND e.tenant_id IS NOT NULL)::boolean AS erasure_waits
FROM audit.holds h LEFT JOIN audit.held_erasures e ON e.tenant_id = h.tenant_id
WHERE h.id > @after_id
  AND (sqlc.narg(tenant_id)::uuid IS NULL OR h.tenant_id = sqlc.narg(tenant_id)::uuid)
  AND (@released::boolean OR h.released_at IS NULL)
ORDER BY h.id
LIMIT @page;

-- name: Held :one
-- Whether a hold keeps something of the tenant, or, with a person, what may be of
-- theirs.
SELECT EXISTS (SELECT FROM audit.holds
    WHERE tenant_id = @tenant_id AND released_at IS NULL
      AND (sqlc.narg(user_id)::uuid IS NULL OR user_id IS NULL OR user_id = sqlc.narg(user_id)::uuid));

-- name: AwaitHolds :exec
INSERT INTO audit.held_erasures (tenant_id) VALUES (@tenant_id) ON CONFLICT DO NOTHING;

-- name: ReleasedErasures :many
-- Tenants whose erasure waited for a hold, and waits for none any more.
SELECT e.tenant_id FROM audit.held_erasures e
WHERE NOT EXISTS (SELECT FROM audit.holds h WHERE h.tenant_id = e.tenant_id AND h.released_at IS NULL);

-- name: EndHeldErasure :exec
DELETE FROM audit.held_erasures WHERE tenant_id = @tenant_id;

-- name: CountHolds :one
SELECT count(*) FILTER (WHERE released_at IS NULL) AS active, (SELECT count(*) FROM audit.held_erasures) AS waiting FROM audit.holds;
