-- name: LockRevision :one
-- Whoever has locked a tenant's revision is the only one to change its policy.
-- One that is erased has none any more.
INSERT INTO rbac.revisions (tenant_id, revision) VALUES ($1, 0)
ON CONFLICT (tenant_id) DO UPDATE SET revision = rbac.revisions.revision WHERE rbac.revisions.erased IS NULL
RETURNING revision;

-- name: LockRevisions :many
-- LockRevision for several, which are locked in the order in which they are named.
INSERT INTO rbac.revisions (tenant_id, revision) SELECT unnest(@tenants::uuid[]), 0
ON CONFLICT (tenant_id) DO UPDATE SET revision = rbac.revisions.revision WHERE rbac.revisions.erased IS NULL
RETURNING tenant_id, revision;

-- name: SetRevision :exec
UPDATE rbac.revisions SET revision = $2, changed_at = clock_timestamp() WHERE tenant_id = $1;

-- name: Revisions :many
SELECT tenant_id, revision FROM rbac.revisions WHERE tenant_id = ANY(@tenants::uuid[]);

-- name: TenantsAfter :many
SELECT tenant_id FROM rbac.revisions WHERE tenant_id > @after AND erased IS NULL ORDER BY tenant_id LIMIT @page;

-- name: ChangedRevisions :many
-- What was changed since everything was known, and within the seconds before,
-- which is longer than any change takes; recent is what modules may not have heard.
SELECT tenant_id, revision, (changed_at > sqlc.arg(told)::timestamptz - interval '3 seconds')::boolean AS recent,
    (erased IS NOT NULL)::boolean AS erased
FROM rbac.revisions
WHERE changed_at > LEAST(sqlc.arg(known)::timestamptz - interval '15 seconds', sqlc.arg(told)::timestamptz - interval '3 seconds');

-- name: Clock :one
SELECT clock_timestamp()::timestamptz AS now;

-- name: LoadTenants :many
SELECT tenant_id, active, source_revision FROM rbac.tenants WHERE tenant_id = ANY(@tenants::uuid[]);

-- name: LoadModules :many
SELECT tenant_id, name, enabled, source_revision, fed FROM rbac.modules WHERE tenant_id = ANY(@tenants::uuid[]);

-- name: LoadUnits :many
SELECT tenant_id, id, parent_id, removed, source_revision FROM rbac.units WHERE tenant_id = ANY(@tenants::uuid[]);

-- name: LoadRoles :many
SELECT tenant_id, id, name, permissions FROM rbac.roles WHERE tenant_id = ANY(@tenants::uuid[]);

-- name: LoadPlatformRoles :many
-- A platform role belongs to the policy of each tenant in which it is bound.
SELECT b.tenant_id, r.id, r.name, r.permissions FROM rbac.roles r
JOIN (SELECT DISTINCT tenant_id, role_id FROM rbac.bindings WHERE tenant_id = ANY(@tenants::uuid[])) b ON b.role_id = r.id
WHERE r.tenant_id = '00000000-0000-0000-0000-000000000000';

-- name: LoadGroups :many
SELECT tenant_id, id, name FROM rbac.groups WHERE tenant_id = ANY(@tenants::uuid[]);

-- name: LoadMembers :many
SELECT tenant_id, group_id, user_id FROM rbac.members WHERE tenant_id = ANY(@tenants::uuid[]);

-- name: LoadSuspended :many
SELECT tenant_id, user_id FROM rbac.users WHERE tenant_id = ANY(@tenants::uuid[]) AND suspended;

-- name: LoadBindings :many
SELECT tenant_id, id, user_id, group_id, role_id, deny, unit_id, resource_type, resource_id, expires_at
FROM rbac.bindings WHERE tenant_id = ANY(@tenants::uuid[]);

-- name: LoadUsers :many
-- Everyone with bindings or memberships, or of them those that are named.
WITH held AS (
    SELECT tenant_id, user_id::uuid AS user_id FROM rbac.bindings
    WHERE tenant_id = ANY(@tenants::uuid[]) AND user_id IS NOT NULL AND (@everyone::boolean OR user_id = ANY(@users::uuid[]))
    UNION SELECT tenant_id, user_id FROM rbac.members
    WHERE tenant_id = ANY(@tenants::uuid[]) AND (@everyone::boolean OR user_id = ANY(@users::uuid[]))
)
SELECT h.tenant_id, h.user_id, coalesce(u.suspended, false) AS suspended, coalesce(u.source_revision, 0) AS source_revision
FROM held h LEFT JOIN rbac.users u USING (tenant_id, user_id);

-- name: PutPolicyTenant :exec
INSERT INTO rbac.tenants (tenant_id, active, source_revision) VALUES ($1, $2, $3) ON CONFLICT (tenant_id) DO UPDATE
SET active = excluded.active, source_revision = excluded.source_revision
WHERE rbac.tenants.source_revision < excluded.source_revision;

-- name: PutPolicyModule :exec
INSERT INTO rbac.modules (tenant_id, name, enabled, fed, source_revision) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, name) DO UPDATE
SET enabled = excluded.enabled, fed = excluded.fed, source_revision = excluded.source_revision
WHERE rbac.modules.source_revision < excluded.source_revision;

-- name: PutPolicyUnit :exec
INSERT INTO rbac.units (tenant_id, id, parent_id, removed, source_revision) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, id) DO UPDATE
SET parent_id = excluded.parent_id, removed = excluded.removed, source_revision = excluded.source_revision
WHERE rbac.units.source_revision < excluded.source_revision;

-- name: PutPolicyUser :exec
INSERT INTO rbac.users (tenant_id, user_id, suspended, source_revision) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, user_id) DO UPDATE
SET suspended = excluded.suspended, source_revision = excluded.source_revision
WHERE rbac.users.source_revision < excluded.source_revision;

-- name: SeeUsers :exec
-- Notes as of when users were seen to be active members, so that nobody who knows
-- less takes what they are given now. Who is suspended still is for another step.
INSERT INTO rbac.users (tenant_id, user_id, suspended, source_revision)
SELECT @tenant_id, seen.user_id, false, seen.revision
FROM (SELECT unnest(@users::uuid[]) AS user_id, unnest(@revisions::bigint[]) AS revision) seen
ON CONFLICT (tenant_id, user_id) DO UPDATE SET source_revision = excluded.source_revision
WHERE rbac.users.source_revision < excluded.source_revision AND NOT rbac.users.suspended;

-- name: RemoveUserBindings :exec
DELETE FROM rbac.bindings WHERE tenant_id = $1 AND user_id = $2;

-- name: RemoveUserMemberships :exec
DELETE FROM rbac.members WHERE tenant_id = $1 AND user_id = $2;

-- name: Revision :one
SELECT revision FROM rbac.revisions WHERE tenant_id = $1;

-- name: PolicyTenant :one
SELECT active FROM rbac.tenants WHERE tenant_id = $1;

-- name: PolicyModules :many
SELECT name, enabled FROM rbac.modules WHERE tenant_id = $1;
