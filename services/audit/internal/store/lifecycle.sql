-- name: EndTrail :one
-- Nothing is added from then on. The sequence has no gaps: it tells how many
-- records there were.
INSERT INTO audit.heads (tenant_id, last_seq, erased) VALUES ($1, 0, true)
ON CONFLICT (tenant_id) DO UPDATE SET erased = true
RETURNING last_seq;

-- name: EraseEvents :execrows
DELETE FROM audit.events gone WHERE gone.tenant_id = @tenant_id AND gone.tenant_seq IN (
    SELECT e.tenant_seq FROM audit.events e WHERE e.tenant_id = @tenant_id LIMIT 5000);

-- name: EraseTree :exec
WITH tiles AS (DELETE FROM audit.tiles t WHERE t.tenant_id = @tenant_id), kept AS (DELETE FROM audit.kept_leaves k WHERE k.tenant_id = @tenant_id)
UPDATE audit.heads h SET frontier = '' WHERE h.tenant_id = @tenant_id;

-- name: ErasePoison :execrows
DELETE FROM audit.dead_letter WHERE subject LIKE 'core.%events.' || (@tenant_id::uuid)::text || '.%';
