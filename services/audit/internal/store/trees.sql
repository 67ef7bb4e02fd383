-- name: Leaves :many
-- Those of some places in a trail, in order; retention keeps the ones that a tile
-- still needs.
SELECT leaf FROM (
    SELECT e.tenant_seq, e.leaf FROM audit.events e WHERE e.tenant_id = @tenant_id AND e.tenant_seq BETWEEN @first AND @last
    UNION ALL
    SELECT k.tenant_seq, k.leaf FROM audit.kept_leaves k WHERE k.tenant_id = @tenant_id AND k.tenant_seq BETWEEN @first AND @last
) AS all_leaves ORDER BY tenant_seq;

-- name: AppendToTile :one
INSERT INTO audit.tiles (tenant_id, level, n, hashes) VALUES (@tenant_id, @level, @n, @hashes)
ON CONFLICT (tenant_id, level, n) DO UPDATE SET hashes = audit.tiles.hashes || excluded.hashes
RETURNING hashes;

-- name: EnsureMonth :exec
SELECT audit.ensure_month(to_date(@day::text, 'YYYY-MM-DD'));

-- name: Before :many
-- Records from before there were entries, of one tenant, in order.
SELECT * FROM audit.events_before WHERE tenant_id = @tenant_id AND tenant_seq > @after ORDER BY tenant_seq LIMIT @page;

-- name: TenantsBefore :many
-- Tenants whose records have no entries yet, with how far they have.
SELECT h.tenant_id, h.last_seq, h.frontier FROM audit.heads h
WHERE h.last_seq > 0 AND NOT h.erased AND EXISTS (SELECT FROM audit.events_before b WHERE b.tenant_id = h.tenant_id)
ORDER BY h.tenant_id;

-- name: ForgetBefore :exec
DELETE FROM audit.events_before WHERE tenant_id = $1;
