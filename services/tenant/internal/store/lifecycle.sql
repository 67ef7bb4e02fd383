-- name: CreateTenant :one
INSERT INTO tenant.tenants (id, code, name, state, branding, limits, provision, step, asked_at)
VALUES (@id, @code, @name, @state, sqlc.narg(branding)::jsonb, sqlc.narg(limits)::jsonb, sqlc.narg(provision)::jsonb, @step,
    CASE WHEN sqlc.narg(provision)::jsonb IS NULL THEN NULL ELSE clock_timestamp() END)
RETURNING *;

-- name: Tenant :one
SELECT * FROM tenant.tenants WHERE id = $1;

-- name: LockForChange :one
-- Orders the changes of one tenant.
SELECT * FROM tenant.tenants WHERE id = $1 FOR NO KEY UPDATE;

-- name: SearchTenants :many
SELECT * FROM tenant.tenants
WHERE (code COLLATE "C", id) > (@after_code::text, @after_id::uuid)
    AND CASE @state::text WHEN '' THEN state <> 'erased' ELSE state = @state END
    AND (cardinality(@patterns::text[]) = 0 OR code ILIKE ANY (@patterns) OR name ILIKE ANY (@patterns))
ORDER BY code COLLATE "C", id
LIMIT @page;

-- name: DescribeTenant :one
UPDATE tenant.tenants SET name = @name, branding = sqlc.narg(branding)::jsonb, revision = nextval('tenant.revision')
WHERE id = @id
RETURNING *;

-- name: LimitTenant :one
UPDATE tenant.tenants SET limits = sqlc.narg(limits)::jsonb, revision = nextval('tenant.revision')
WHERE id = @id
RETURNING *;

-- name: SetTenantState :one
-- Nothing is waited for from then on.
UPDATE tenant.tenants SET state = @state, reason = @reason, restore_to = '', delete_at = NULL,
    provision = NULL, step = '', asked_at = NULL, state_since = clock_timestamp(), revision = nextval('tenant.revision')
WHERE id = @id
RETURNING *;

-- name: MarkDeleted :one
UPDATE tenant.tenants SET state = 'deleting', restore_to = state, reason = @reason, state_since = clock_timestamp(),
    delete_at = clock_timestamp() + make_interval(days => @grace_days::int), revision = nextval('tenant.revision')
WHERE id = @id
RETURNING *;

-- name: DeleteAt :one
SELECT (clock_timestamp() + make_interval(days => @grace_days::int))::timestamptz AS delete_at;

-- name: BeginErasing :one
UPDATE tenant.tenants SET state = 'erased', restore_to = '', delete_at = NULL, provision = NULL, step = '',
    reason = @reason, refusal = sqlc.narg(refusal)::jsonb, asked_at = clock_timestamp(),
    state_since = clock_timestamp(), revision = nextval('tenant.revision')
WHERE id = @id
RETURNING *;

-- name: AwaitBinding :exec
UPDATE tenant.tenants SET provision = @provision::jsonb, step = 'binding' WHERE id = @id;

-- name: DueTenant :one
-- One whose days of grace are over, whichever replica comes first.
SELECT * FROM tenant.tenants WHERE state = 'deleting' AND delete_at <= clock_timestamp()
ORDER BY delete_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;

-- name: SilentTenant :one
-- One that others have not confirmed since they were asked: they are asked again.
UPDATE tenant.tenants SET asked_at = clock_timestamp()
WHERE id = (
    SELECT t.id FROM tenant.tenants t WHERE t.asked_at < clock_timestamp() - make_interval(secs => @patience)
    ORDER BY t.asked_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING *;

-- name: ConfirmErasure :exec
INSERT INTO tenant.erasures (tenant_id, service, counts) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: Erasures :many
SELECT service, counts FROM tenant.erasures WHERE tenant_id = $1 ORDER BY service;

-- name: EraseTenantSettings :execrows
DELETE FROM tenant.settings WHERE tenant_id = $1;

-- name: EraseTenantSettingsHistory :execrows
DELETE FROM tenant.settings_history WHERE tenant_id = $1;

-- name: LeaveModules :exec
-- What the tenant published is the platform's from then on: others use it.
UPDATE tenant.modules SET allowed = array_remove(allowed, @tenant_id::uuid),
    owner_id = CASE WHEN owner_id = @tenant_id::uuid THEN '00000000-0000-0000-0000-000000000000' ELSE owner_id END
WHERE owner_id = @tenant_id::uuid OR @tenant_id::uuid = ANY (allowed);

-- name: LeaveRollouts :exec
UPDATE tenant.module_versions SET rollout_tenants = array_remove(rollout_tenants, @tenant_id::uuid)
WHERE @tenant_id::uuid = ANY (rollout_tenants);

-- name: RemoveTenant :exec
-- What refers to it goes with it.
DELETE FROM tenant.tenants WHERE id = $1;

-- name: AddTombstone :one
INSERT INTO tenant.tenants (id, code, name, state, reason, refusal, created_at, state_since)
VALUES (@id, '', '', 'erased', @reason, @refusal, @created_at, clock_timestamp())
RETURNING *;

-- name: TenantUse :one
-- What a tenant has of what its limits count, and the limits.
SELECT t.limits,
    (SELECT count(*) FROM tenant.units u WHERE u.tenant_id = t.id AND u.kind = 'company' AND NOT u.removed)::int AS companies,
    (SELECT count(*) FROM tenant.activations a WHERE a.tenant_id = t.id AND a.enabled)::int AS modules
FROM tenant.tenants t WHERE t.id = $1;

-- name: CountUnits :one
SELECT count(*)::int FROM tenant.units WHERE tenant_id = $1 AND NOT removed;

-- name: EnabledModules :many
SELECT module FROM tenant.activations WHERE tenant_id = $1 AND enabled ORDER BY module;
