-- name: NextRevision :one
-- The row lock orders the changes of one tenant.
INSERT INTO rbac.revisions (tenant_id, revision) VALUES ($1, 1)
ON CONFLICT (tenant_id) DO UPDATE SET revision = rbac.revisions.revision + 1
RETURNING revision;

-- name: PutRole :exec
INSERT INTO rbac.roles (tenant_id, name, permissions) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, name) DO UPDATE SET permissions = excluded.permissions;

-- name: Bind :exec
INSERT INTO rbac.bindings (tenant_id, user_id, role) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING;

-- name: Unbind :execrows
DELETE FROM rbac.bindings WHERE tenant_id = $1 AND user_id = $2 AND role = $3;

-- name: RoleExists :one
SELECT EXISTS (SELECT FROM rbac.roles WHERE tenant_id = $1 AND name = $2);

-- name: Revisions :many
SELECT tenant_id, revision FROM rbac.revisions
WHERE @tenant_id::text IN (tenant_id::text, '*');

-- name: Roles :many
SELECT tenant_id, name, permissions FROM rbac.roles
WHERE @tenant_id::text IN (tenant_id::text, '*');

-- name: Bindings :many
SELECT tenant_id, user_id, role FROM rbac.bindings
WHERE @tenant_id::text IN (tenant_id::text, '*');
