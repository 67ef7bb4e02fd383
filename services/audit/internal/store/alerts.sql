-- name: LockAlerts :one
-- Makes and locks the place up to where a trail was held against its alerts. It
-- begins at the trail's end.
INSERT INTO audit.alert_cursors (tenant_id, seq)
SELECT @tenant_id::uuid, coalesce((SELECT last_seq FROM audit.heads h WHERE h.tenant_id = @tenant_id), 0)
ON CONFLICT (tenant_id) DO UPDATE SET seq = audit.alert_cursors.seq
RETURNING seq;

-- name: TrailEnd :one
SELECT coalesce((SELECT last_seq FROM audit.heads WHERE tenant_id = @tenant_id), 0)::bigint;

-- name: CountAlerts :one
SELECT count(*) FROM audit.alerts WHERE tenant_id = @tenant_id;

-- name: CreateAlert :one
INSERT INTO audit.alerts (tenant_id, id, name, rule, enabled, from_seq, created_by)
VALUES (@tenant_id, @id, @name, @rule, @enabled, @from_seq, @created_by)
RETURNING *;

-- name: Alert :one
SELECT * FROM audit.alerts WHERE tenant_id = @tenant_id AND id = @id;

-- name: LockAlert :one
SELECT * FROM audit.alerts WHERE tenant_id = @tenant_id AND id = @id FOR UPDATE;

-- name: ListAlerts :many
SELECT * FROM audit.alerts
WHERE tenant_id = @tenant_id AND id > @after_id AND strpos(lower(name), lower(@search::text)) > 0
ORDER BY id
LIMIT @page;

-- name: UpdateAlert :one
UPDATE audit.alerts SET name = @name, rule = @rule, enabled = @enabled, from_seq = @from_seq, updated_at = now(), revision = revision + 1
WHERE tenant_id = @tenant_id AND id = @id
RETURNING *;

-- name: DeleteAlert :exec
DELETE FROM audit.alerts WHERE tenant_id = @tenant_id AND id = @id;

-- name: ForgetAlertCounts :exec
DELETE FROM audit.alert_counts WHERE tenant_id = @tenant_id AND alert_id = @alert_id;

-- name: BehindAlerts :many
-- Tenants whose trails were not held against their alerts to their ends, and by
-- how much.
SELECT c.tenant_id, (h.last_seq - c.seq)::bigint AS behind
FROM audit.alert_cursors c JOIN audit.heads h USING (tenant_id)
WHERE h.last_seq > c.seq
ORDER BY c.tenant_id
LIMIT 1000;

-- name: TakeAlerts :one
-- Locks the place unless another replica has it.
SELECT seq FROM audit.alert_cursors WHERE tenant_id = @tenant_id FOR UPDATE SKIP LOCKED;

-- name: EnabledAlerts :many
SELECT * FROM audit.alerts WHERE tenant_id = @tenant_id AND enabled ORDER BY id;

-- name: AlertCounts :many
SELECT alert_id, key, times, quiet_until FROM audit.alert_counts
WHERE tenant_id = @tenant_id AND (alert_id, key) IN (SELECT unnest(@alert_ids::uuid[]), unnest(@keys::text[]));

-- name: KeepAlertCounts :exec
INSERT INTO audit.alert_counts (tenant_id, alert_id, key, times, quiet_until, expires_at)
SELECT @tenant_id::uuid, r.alert_id, r.key, r.times, r.quiet_until, r.expires_at
FROM jsonb_to_recordset(@rows::jsonb) AS r(alert_id uuid, key text, times timestamptz[], quiet_until timestamptz, expires_at timestamptz)
ON CONFLICT (tenant_id, alert_id, key) DO UPDATE
SET times = excluded.times, quiet_until = excluded.quiet_until, expires_at = excluded.expires_at;

-- name: BoundAlertCounts :exec
-- Of an alert that counts too many apart the oldest are forgotten.
DELETE FROM audit.alert_counts gone
WHERE gone.tenant_id = @tenant_id AND gone.alert_id = @alert_id AND gone.key IN (
    SELECT c.key FROM audit.alert_counts c WHERE c.tenant_id = @tenant_id AND c.alert_id = @alert_id
    ORDER BY c.expires_at DESC OFFSET @most);

-- name: ExpireAlertCounts :execrows
DELETE FROM audit.alert_counts WHERE expires_at < now();

-- name: AdvanceAlerts :exec
UPDATE audit.alert_cursors SET seq = @seq WHERE tenant_id = @tenant_id;

-- name: EndAlerts :exec
DELETE FROM audit.alert_cursors WHERE tenant_id = @tenant_id;

-- name: EraseAlerts :exec
WITH counts AS (DELETE FROM audit.alert_counts c WHERE c.tenant_id = @tenant_id),
    places AS (DELETE FROM audit.alert_cursors p WHERE p.tenant_id = @tenant_id)
DELETE FROM audit.alerts a WHERE a.tenant_id = @tenant_id;

-- name: AlertEvents :many
-- What rules look at of the events behind a place.
SELECT tenant_seq, occurred_at, action, outcome, source, user_id, resource_type, resource_id, address
FROM audit.events
WHERE tenant_id = @tenant_id AND tenant_seq > @after
ORDER BY tenant_seq
LIMIT @page;
