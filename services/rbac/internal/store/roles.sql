-- name: Role :one
-- A role of the tenant or of the platform.
SELECT * FROM rbac.roles
WHERE id = @id AND tenant_id IN (@tenant_id::uuid, '00000000-0000-0000-0000-000000000000');

-- name: RolesByID :many
SELECT * FROM rbac.roles
WHERE id = ANY (@ids::uuid[]) AND tenant_id IN (@tenant_id::uuid, '00000000-0000-0000-0000-000000000000');

-- name: RolesByName :many
-- Each name once: the tenant's own role before the platform's.
SELECT DISTINCT ON (name) name, id FROM rbac.roles
WHERE name = ANY (@names::text[]) AND tenant_id IN (@tenant_id::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY name, tenant_id DESC;

-- name: ListRoles :many
-- With the nil tenant the platform's roles only.
SELECT * FROM rbac.roles
WHERE tenant_id IN (@tenant_id::uuid, '00000000-0000-0000-0000-000000000000')
    AND (name COLLATE "C", id) > (@after_name::text, @after_id::uuid)
    AND CASE @kind::text
        WHEN 'tenant' THEN tenant_id <> '00000000-0000-0000-0000-000000000000'
        WHEN 'platform' THEN tenant_id = '00000000-0000-0000-0000-000000000000' AND NOT system
        WHEN 'system' THEN system
        ELSE true
    END
    AND (cardinality(@patterns::text[]) = 0 OR name ILIKE ANY (@patterns) OR title ILIKE ANY (@patterns))
ORDER BY name COLLATE "C", id
LIMIT sqlc.narg(page)::int;

-- name: PlatformRoleNamed :one
SELECT EXISTS (SELECT FROM rbac.roles WHERE tenant_id = '00000000-0000-0000-0000-000000000000' AND name = @name);

-- name: CreateRole :one
INSERT INTO rbac.roles (id, tenant_id, name, title, description, permissions, revision)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING *;

-- name: UpdateRole :one
UPDATE rbac.roles SET name = $2, title = $3, description = $4, permissions = $5, revision = $6, updated_at = now()
WHERE id = $1
RETURNING *;

-- name: DeleteRole :exec
DELETE FROM rbac.roles WHERE id = $1;

-- name: LockPlatformRole :one
-- Until the transaction ends nobody binds the role: a new binding would have to
-- lock the row that it refers to.
SELECT * FROM rbac.roles WHERE id = $1 AND tenant_id = '00000000-0000-0000-0000-000000000000' FOR UPDATE;

-- name: RoleTenants :many
-- Where the role is bound.
SELECT DISTINCT tenant_id FROM rbac.bindings WHERE role_id = $1 ORDER BY tenant_id;
