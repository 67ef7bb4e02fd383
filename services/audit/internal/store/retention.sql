-- name: Retention :one
SELECT * FROM audit.retention WHERE tenant_id = @tenant_id;

-- name: LockRetention :one
-- Makes and locks the row.
INSERT INTO audit.retention (tenant_id, reason, revision) VALUES (@tenant_id, '', 0)
ON CONFLICT (tenant_id) DO UPDATE SET tenant_id = excluded.tenant_id
RETURNING *;

-- name: SetRetention :one
UPDATE audit.retention SET keep_days = @keep_days, reason = @reason, set_by = @set_by, updated_at = now(), revision = revision + 1
WHERE tenant_id = @tenant_id
RETURNING *;

-- name: Retentions :many
SELECT tenant_id, keep_days FROM audit.retention WHERE keep_days IS NOT NULL;

-- name: EraseRetention :exec
DELETE FROM audit.retention WHERE tenant_id = @tenant_id;

-- name: Trails :many
SELECT tenant_id FROM audit.heads WHERE NOT erased ORDER BY tenant_id;

-- name: Months :many
-- The partitions of whole months.
SELECT c.relname::text FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'audit.events'::regclass AND c.relname::text ~ '^events_[0-9]{6}$'
ORDER BY 1;

-- name: TenantsBetween :many
-- The tenants that have events in a stretch of time, by steps from one to the next.
WITH RECURSIVE t(tenant_id) AS (
    (SELECT e.tenant_id FROM audit.events e WHERE e.occurred_at >= @lower AND e.occurred_at < @upper ORDER BY e.tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT e.tenant_id FROM audit.events e WHERE e.occurred_at >= @lower AND e.occurred_at < @upper AND e.tenant_id > t.tenant_id
        ORDER BY e.tenant_id LIMIT 1)
    FROM t WHERE t.tenant_id IS NOT NULL)
SELECT t.tenant_id::uuid FROM t WHERE t.tenant_id IS NOT NULL;

-- name: HeldBetween :one
SELECT EXISTS (SELECT FROM audit.holds h JOIN audit.events e ON e.tenant_id = h.tenant_id
    WHERE h.released_at IS NULL AND e.occurred_at >= @lower AND e.occurred_at < @upper
      AND (h.user_id IS NULL OR h.user_id IN (e.user_id, e.on_behalf_of) OR e.resource_id = h.user_id::text)
      AND (h.resource_type IS NULL OR h.resource_type = e.resource_type)
      AND (h.resource_id IS NULL OR h.resource_id = e.resource_id));

-- name: CountBetween :one
SELECT count(*) FROM audit.events WHERE occurred_at >= @lower AND occurred_at < @upper;

-- name: CountExpired :many
-- How many events of tenants in a stretch of time a hold does not keep, and does.
SELECT n.tenant_id, count(*) FILTER (WHERE NOT n.held) AS events, count(*) FILTER (WHERE n.held) AS held
FROM (SELECT e.tenant_id, EXISTS (SELECT FROM audit.holds h
        WHERE h.tenant_id = e.tenant_id AND h.released_at IS NULL
          AND (h.user_id IS NULL OR h.user_id IN (e.user_id, e.on_behalf_of) OR e.resource_id = h.user_id::text)
          AND (h.resource_type IS NULL OR h.resource_type = e.resource_type)
          AND (h.resource_id IS NULL OR h.resource_id = e.resource_id)) AS held
    FROM audit.events e
    WHERE e.tenant_id = ANY(@tenant_ids::uuid[]) AND e.occurred_at >= @lower AND e.occurred_at < @upper) AS n
GROUP BY n.tenant_id
ORDER BY n.tenant_id;

-- name: LockHeads :exec
-- Ingest of these tenants waits.
SELECT FROM audit.heads WHERE tenant_id = ANY(@tenant_ids::uuid[]) ORDER BY tenant_id FOR UPDATE;

-- name: KeepLeaves :exec
-- Keeps the leaves of tiles that are not full yet, before their events go.
INSERT INTO audit.kept_leaves (tenant_id, tenant_seq, leaf)
SELECT e.tenant_id, e.tenant_seq, e.leaf
FROM audit.heads h JOIN audit.events e ON e.tenant_id = h.tenant_id AND e.tenant_seq > h.last_seq - h.last_seq % 256
WHERE h.tenant_id = ANY(@tenant_ids::uuid[]) AND e.occurred_at >= @lower AND e.occurred_at < @upper
ON CONFLICT DO NOTHING;

-- name: DropMonth :one
SELECT audit.drop_month(to_date(@month::text, 'YYYY-MM'))::boolean;

-- name: RemoveExpired :one
-- Removes events behind a place in a trail that occurred before a time and that
-- no hold keeps, keeps the leaves of the tile that is not full yet, and tells the
-- last place.
WITH doomed AS (
    SELECT e.tenant_seq, e.occurred_at FROM audit.events e
    WHERE e.tenant_id = @tenant_id AND e.tenant_seq > @after AND e.occurred_at < @before
      AND NOT EXISTS (SELECT FROM audit.holds h
        WHERE h.tenant_id = e.tenant_id AND h.released_at IS NULL
          AND (h.user_id IS NULL OR h.user_id IN (e.user_id, e.on_behalf_of) OR e.resource_id = h.user_id::text)
          AND (h.resource_type IS NULL OR h.resource_type = e.resource_type)
          AND (h.resource_id IS NULL OR h.resource_id = e.resource_id))
    ORDER BY e.tenant_seq
    LIMIT @page
), gone AS (
    DELETE FROM audit.events e USING doomed d
    WHERE e.tenant_id = @tenant_id AND e.tenant_seq = d.tenant_seq AND e.occurred_at = d.occurred_at AND e.occurred_at < @before
    RETURNING e.tenant_seq, e.leaf
), kept AS (
    INSERT INTO audit.kept_leaves (tenant_id, tenant_seq, leaf)
    SELECT @tenant_id, g.tenant_seq, g.leaf FROM gone g, audit.heads h
    WHERE h.tenant_id = @tenant_id AND g.tenant_seq > h.last_seq - h.last_seq % 256
    ON CONFLICT DO NOTHING
)
SELECT count(*) AS removed, coalesce(max(tenant_seq), 0)::bigint AS last FROM gone;

-- name: SweepLeaves :execrows
-- Leaves whose tile is full by now.
DELETE FROM audit.kept_leaves k USING audit.heads h
WHERE h.tenant_id = k.tenant_id AND k.tenant_seq <= h.last_seq - h.last_seq % 256;

-- name: CountStray :many
-- The same as CountExpired of events that are in no month's partition, each tenant's
-- before a time of its own.
SELECT n.tenant_id, count(*) FILTER (WHERE NOT n.held) AS events, count(*) FILTER (WHERE n.held) AS held
FROM (SELECT e.tenant_id, EXISTS (SELECT FROM audit.holds h
        WHERE h.tenant_id = e.tenant_id AND h.released_at IS NULL
          AND (h.user_id IS NULL OR h.user_id IN (e.user_id, e.on_behalf_of) OR e.resource_id = h.user_id::text)
          AND (h.resource_type IS NULL OR h.resource_type = e.resource_type)
          AND (h.resource_id IS NULL OR h.resource_id = e.resource_id)) AS held
    FROM audit.events_default e
    JOIN (SELECT unnest(@tenant_ids::uuid[]) AS tenant_id, unnest(@floors::timestamptz[]) AS floor) AS f ON f.tenant_id = e.tenant_id
    WHERE e.occurred_at < f.floor) AS n
GROUP BY n.tenant_id
ORDER BY n.tenant_id;
