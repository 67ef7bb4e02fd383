-- name: CandidateRoles :many
SELECT id, name, permissions FROM rbac.roles
WHERE tenant_id IN ($1, '00000000-0000-0000-0000-000000000000') ORDER BY name;

-- name: SupposedRole :one
SELECT id, name FROM rbac.roles
WHERE tenant_id IN ($1, '00000000-0000-0000-0000-000000000000') AND id = $2;

-- name: SupposedRoleNamed :one
-- By id, or by name; the tenant's own before the platform's.
SELECT id, name, permissions FROM rbac.roles
WHERE tenant_id IN (@tenant_id::uuid, '00000000-0000-0000-0000-000000000000')
    AND (id::text = @id::text OR (@id::text = '' AND name = @name::text))
ORDER BY tenant_id DESC LIMIT 1;

-- name: SupposedBinding :one
SELECT id, user_id, group_id, role_id FROM rbac.bindings WHERE tenant_id = $1 AND id = $2;

-- name: SupposedGroup :one
SELECT id FROM rbac.groups WHERE tenant_id = $1 AND id = $2;

-- name: DeclaredCodes :many
SELECT code FROM rbac.permissions;
