-- name: CountWebhooks :one
SELECT count(*) FROM audit.webhooks WHERE tenant_id = @tenant_id AND module = @module;

-- name: LockWebhookOwner :exec
-- One at a time makes a webhook for an owner, so that they can be counted.
SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || (@tenant_id::uuid)::text || ' ' || @module::text, 0));

-- name: CreateWebhook :one
INSERT INTO audit.webhooks (id, tenant_id, module, key_id, tenants, url, types, description, secret)
VALUES (@id, @tenant_id, @module, @key_id, @tenants, @url, @types, @description, @secret)
RETURNING *;

-- name: ListWebhooks :many
-- Only holds those that hear no other tenants than these.
SELECT * FROM audit.webhooks
WHERE tenant_id = @tenant_id AND module = @module AND id > @after
  AND (cardinality(@allowed::uuid[]) = 0 OR cardinality(tenants) > 0 AND tenants <@ @allowed::uuid[])
ORDER BY id LIMIT @page;

-- name: GetWebhook :one
SELECT * FROM audit.webhooks WHERE id = @id AND tenant_id = @tenant_id AND module = @module
  AND (cardinality(@allowed::uuid[]) = 0 OR cardinality(tenants) > 0 AND tenants <@ @allowed::uuid[]);

-- name: LockWebhook :one
SELECT * FROM audit.webhooks WHERE id = @id AND tenant_id = @tenant_id AND module = @module
  AND (cardinality(@allowed::uuid[]) = 0 OR cardinality(tenants) > 0 AND tenants <@ @allowed::uuid[])
FOR UPDATE;

-- name: UpdateWebhook :one
-- What is enabled again has a clean record.
UPDATE audit.webhooks SET url = @url, types = @types, description = @description, key_id = @key_id,
    enabled = @enabled, disabled_reason = @disabled_reason,
    disabled_at = CASE WHEN @enabled THEN NULL ELSE coalesce(disabled_at, now()) END,
    failing_since = CASE WHEN @enabled AND NOT enabled THEN NULL ELSE failing_since END,
    given_up = CASE WHEN @enabled AND NOT enabled THEN 0 ELSE given_up END,
    updated_at = now(), revision = revision + 1
WHERE id = @id RETURNING *;

-- name: RotateWebhookSecret :one
UPDATE audit.webhooks SET secret = @secret, updated_at = now(), revision = revision + 1,
    old_secret = CASE WHEN @overlap::integer > 0 THEN secret END,
    old_until = CASE WHEN @overlap::integer > 0 THEN now() + make_interval(secs => @overlap::integer) END
WHERE id = @id RETURNING *;

-- name: DeleteWebhook :exec
DELETE FROM audit.webhooks WHERE id = @id;

-- name: AnyWebhook :one
SELECT id, secret FROM audit.webhooks LIMIT 1;

-- name: HearingWebhooks :many
-- Those that may hear events of the tenants. What was disabled long ago misses
-- nothing any more.
SELECT id, tenant_id, module, tenants, types, enabled FROM audit.webhooks
WHERE (module <> '' OR tenant_id = ANY(@tenant_ids::uuid[])) AND (enabled OR disabled_at > now() - interval '30 days');

-- name: AddDeliveries :execrows
INSERT INTO audit.webhook_deliveries (id, tenant_id, webhook_id, event_id, event_type, event_tenant, event_time, body, state, settled_at)
SELECT id, tenant_id, webhook_id, event_id, event_type, event_tenant, event_time, body, state,
    CASE WHEN state = 'missed' THEN now() END
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@tenant_ids::uuid[]) AS tenant_id, unnest(@webhook_ids::uuid[]) AS webhook_id,
    unnest(@event_ids::text[]) AS event_id, unnest(@event_types::text[]) AS event_type, unnest(@event_tenants::uuid[]) AS event_tenant,
    unnest(@event_times::timestamptz[]) AS event_time, unnest(@bodies::bytea[]) AS body, unnest(@states::text[]) AS state) AS new
ON CONFLICT (webhook_id, event_id) DO NOTHING;

-- name: MoveWebhooksToKey :exec
-- A key was rotated: what ended with the old one ends with the new one.
UPDATE audit.webhooks SET key_id = @new_key WHERE key_id = @old_key AND module = @module;

-- name: DisableWebhooksOfKey :many
UPDATE audit.webhooks SET enabled = false, disabled_reason = @reason, disabled_at = now(), updated_at = now(), revision = revision + 1
WHERE key_id = @key_id AND enabled RETURNING *;

-- name: ClaimDeliveries :many
-- Leases due deliveries, some of each webhook that is not busy, in an order of
-- webhooks by chance so that none is always last. Failing ones are asked for
-- apart, so that they cannot take all the room.
WITH ready AS MATERIALIZED (
    SELECT a.id, a.url, a.secret, a.old_secret, a.old_until, a.module, a.tenants FROM audit.webhooks a
    WHERE a.enabled AND (a.failing_since IS NOT NULL) = @failing::boolean AND a.id <> ALL(@busy::uuid[]) ORDER BY random()
), due AS MATERIALIZED (
    SELECT d.id FROM ready CROSS JOIN LATERAL (
        SELECT q.id FROM audit.webhook_deliveries q
        WHERE q.webhook_id = ready.id AND q.state = 'waiting' AND q.due_at <= now() AND (q.leased_until IS NULL OR q.leased_until < now())
        ORDER BY q.due_at LIMIT @each FOR UPDATE SKIP LOCKED) d
    LIMIT @most
)
UPDATE audit.webhook_deliveries AS d SET leased_until = now() + make_interval(secs => @lease_seconds::double precision)
FROM due, ready WHERE d.id = due.id AND ready.id = d.webhook_id
RETURNING d.id, d.tenant_id, d.webhook_id, d.event_id, d.event_type, d.event_tenant, d.body, d.tried, d.leased_until,
    ready.url, ready.secret, ready.old_secret, ready.old_until, ready.module, ready.tenants;

-- name: ReleaseDelivery :exec
UPDATE audit.webhook_deliveries SET leased_until = NULL WHERE id = @id AND leased_until = @lease;

-- name: SettleDelivery :one
-- Only by who holds the lease.
UPDATE audit.webhook_deliveries SET state = @state, attempts = attempts + 1, tried = tried + 1, leased_until = NULL,
    due_at = now() + make_interval(secs => @delay_seconds::double precision),
    settled_at = CASE WHEN @state <> 'waiting' THEN now() END
WHERE id = @id AND leased_until = @lease
RETURNING attempts;

-- name: MissDelivery :exec
UPDATE audit.webhook_deliveries SET state = 'missed', leased_until = NULL, settled_at = now()
WHERE id = @id AND leased_until = @lease;

-- name: AddAttempt :exec
INSERT INTO audit.webhook_attempts (tenant_id, delivery_id, number, at, status, latency_ms, answer, error)
VALUES (@tenant_id, @delivery_id, @number, @at, @status, @latency_ms, @answer, @error);

-- name: WebhookWorks :exec
UPDATE audit.webhooks SET failing_since = NULL, given_up = 0 WHERE id = @id AND (failing_since IS NOT NULL OR given_up > 0);

-- name: WebhookFails :one
UPDATE audit.webhooks SET failing_since = coalesce(failing_since, now()), given_up = given_up + @given_up::integer
WHERE id = @id
RETURNING enabled, given_up, (extract(epoch FROM now() - failing_since))::double precision AS failing_seconds;

-- name: DisableWebhook :one
UPDATE audit.webhooks SET enabled = false, disabled_reason = @reason, disabled_at = now(), updated_at = now(), revision = revision + 1
WHERE id = @id AND enabled RETURNING *;

-- name: AddTestDelivery :one
INSERT INTO audit.webhook_deliveries (id, tenant_id, webhook_id, event_id, event_type, event_tenant, event_time, body, state, leased_until)
VALUES (@id, @tenant_id, @webhook_id, @event_id, @event_type, @event_tenant, @event_time, @body, 'waiting',
    now() + make_interval(secs => @lease_seconds::double precision))
RETURNING leased_until;

-- name: ListDeliveries :many
SELECT id, webhook_id, event_id, event_type, event_tenant, event_time, state, attempts, due_at, created_at, settled_at
FROM audit.webhook_deliveries
WHERE webhook_id = @webhook_id AND id < @before
  AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state)::text)
  AND (sqlc.narg(since)::timestamptz IS NULL OR created_at >= sqlc.narg(since)::timestamptz)
  AND (sqlc.narg(until)::timestamptz IS NULL OR created_at < sqlc.narg(until)::timestamptz)
ORDER BY id DESC LIMIT @page;

-- name: GetDelivery :one
SELECT id, webhook_id, event_id, event_type, event_tenant, event_time, state, attempts, due_at, created_at, settled_at
FROM audit.webhook_deliveries WHERE webhook_id = @webhook_id AND id = @id;

-- name: LastAttempts :many
SELECT number, at, status, latency_ms, answer, error FROM audit.webhook_attempts
WHERE delivery_id = @delivery_id ORDER BY number DESC LIMIT 100;

-- name: RetryDelivery :one
UPDATE audit.webhook_deliveries SET state = 'waiting', tried = 0, due_at = now(), settled_at = NULL
WHERE webhook_id = @webhook_id AND id = @id
RETURNING id, webhook_id, event_id, event_type, event_tenant, event_time, state, attempts, due_at, created_at, settled_at;

-- name: DatabaseTime :one
SELECT now()::timestamptz;

-- name: ReplayDeliveries :execrows
-- A part of them, the oldest first. What was settled after the replay began was
-- sent again already.
UPDATE audit.webhook_deliveries SET state = 'waiting', tried = 0, due_at = now(), settled_at = NULL
WHERE id IN (
    SELECT d.id FROM audit.webhook_deliveries d
    WHERE d.webhook_id = @webhook_id AND d.settled_at < @began
      AND (d.state IN ('failed', 'missed') OR @everything::boolean AND d.state = 'sent')
      AND (sqlc.narg(since)::timestamptz IS NULL OR d.created_at >= sqlc.narg(since)::timestamptz)
    ORDER BY d.id LIMIT @page FOR UPDATE SKIP LOCKED);

-- name: OldestDue :one
SELECT coalesce(extract(epoch FROM now() - min(d.due_at)), 0)::double precision AS seconds
FROM audit.webhooks w CROSS JOIN LATERAL (
    SELECT q.due_at FROM audit.webhook_deliveries q WHERE q.webhook_id = w.id AND q.state = 'waiting' AND q.due_at <= now()
    ORDER BY q.due_at LIMIT 1) d
WHERE w.enabled;

-- name: SweepDeliveries :execrows
-- A part of what is older than the log keeps.
DELETE FROM audit.webhook_deliveries WHERE id IN (
    SELECT d.id FROM audit.webhook_deliveries d WHERE d.created_at < now() - make_interval(secs => @keep_seconds::double precision) LIMIT 5000);

-- name: SweepOrphans :execrows
-- A part of what deleted webhooks left.
DELETE FROM audit.webhook_deliveries WHERE id IN (
    SELECT d.id FROM audit.webhook_deliveries d
    WHERE NOT EXISTS (SELECT FROM audit.webhooks w WHERE w.id = d.webhook_id) LIMIT 5000);

-- name: ForgetOldSecrets :exec
UPDATE audit.webhooks SET old_secret = NULL, old_until = NULL WHERE old_until < now();

-- name: EraseWebhooks :exec
DELETE FROM audit.webhooks WHERE tenant_id = @tenant_id;

-- name: EraseDeliveries :execrows
-- A part of what was sent of a tenant's events, to whomever.
DELETE FROM audit.webhook_deliveries WHERE id IN (
    SELECT d.id FROM audit.webhook_deliveries d WHERE d.event_tenant = @tenant_id OR d.tenant_id = @tenant_id LIMIT 5000);
