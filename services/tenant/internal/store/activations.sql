-- name: GetActivation :one
SELECT * FROM tenant.activations WHERE tenant_id = $1 AND module = $2;

-- name: InstalledModules :many
SELECT * FROM tenant.activations WHERE tenant_id = $1 AND installed ORDER BY module;

-- name: PutActivation :one
INSERT INTO tenant.activations (tenant_id, module, enabled, installed, version, range, scopes)
VALUES (@tenant_id, @module, @enabled, @installed, @version, @range, @scopes)
ON CONFLICT (tenant_id, module) DO UPDATE SET enabled = excluded.enabled, installed = excluded.installed,
    version = excluded.version, range = excluded.range, scopes = excluded.scopes, updated_at = now(),
    installed_at = CASE WHEN tenant.activations.installed THEN tenant.activations.installed_at ELSE now() END,
    revision = nextval('tenant.revision')
RETURNING *;

-- name: VersionSource :one
SELECT manifest FROM tenant.module_versions WHERE module = $1 AND version = $2;

-- name: InstallableVersions :many
-- The versions of a module that a tenant may install, but for its rollout.
SELECT v.version, v.manifest, v.rollout_percent, v.rollout_tenants
FROM tenant.module_versions v JOIN tenant.modules m ON m.id = v.module
WHERE v.module = @module AND v.state = 'published' AND v.suspended = '' AND m.suspended = ''
  AND (m.visibility = 'all' OR m.owner_id = @tenant_id::uuid OR (m.visibility = 'allow_list' AND @tenant_id::uuid = ANY (m.allowed)));

-- name: FollowersOf :many
-- Tenants that follow a range of versions of a module, after one of them.
SELECT a.tenant_id, a.module, a.version, a.range FROM tenant.activations a
JOIN tenant.tenants t ON t.id = a.tenant_id AND t.state = 'active'
WHERE a.installed AND a.range <> '' AND a.module = @module AND a.tenant_id > @after
ORDER BY a.tenant_id LIMIT @page;

-- name: UndeclaredModules :many
SELECT id, revision FROM tenant.modules WHERE NOT declared ORDER BY id;

-- name: LivePermissions :many
-- The manifests of a module's versions that tenants may have, the oldest first.
SELECT manifest FROM tenant.module_versions
WHERE module = $1 AND published_at IS NOT NULL ORDER BY published_at, version;

-- name: Declared :exec
UPDATE tenant.modules SET declared = true WHERE id = $1 AND revision = $2;

-- name: AddHook :one
INSERT INTO tenant.hooks (id, tenant_id, module, event, version, from_version, erase_data, retries)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING *;

-- name: RepeatHook :execrows
-- Has a hook that was not acknowledged told anew.
UPDATE tenant.hooks SET at = now(), next_at = now(), attempt = 0, failed = ''
WHERE tenant_id = $1 AND module = $2 AND event = $3;

-- name: HooksOf :many
SELECT * FROM tenant.hooks
WHERE module = @module AND (cardinality(@tenants::uuid[]) = 0 OR tenant_id = ANY (@tenants::uuid[]))
ORDER BY at, id LIMIT @page;

-- name: DueHooks :many
-- Those to be told again, by one replica at a time.
UPDATE tenant.hooks SET attempt = attempt + 1,
    next_at = now() + least(interval '1 hour', interval '5 seconds' * power(2, least(attempt, 10)))
WHERE id IN (SELECT h.id FROM tenant.hooks h WHERE h.next_at <= now() AND h.attempt < h.retries ORDER BY h.next_at LIMIT 100 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: RemoveHook :one
DELETE FROM tenant.hooks
WHERE id = @id AND module = @module AND (cardinality(@tenants::uuid[]) = 0 OR tenant_id = ANY (@tenants::uuid[]))
RETURNING *;

-- name: HookFailed :one
UPDATE tenant.hooks SET failed = @failed
WHERE id = @id AND module = @module AND (cardinality(@tenants::uuid[]) = 0 OR tenant_id = ANY (@tenants::uuid[]))
RETURNING *;

-- name: ModuleStates :many
-- What of each module, or of one, is suspended.
SELECT m.id, m.suspended <> '' AS suspended, m.revision,
    coalesce((SELECT array_agg(v.version ORDER BY v.version) FROM tenant.module_versions v
              WHERE v.module = m.id AND v.suspended <> ''), '{}')::text[] AS versions
FROM tenant.modules m WHERE (@module::text = '' OR m.id = @module) ORDER BY m.id;
