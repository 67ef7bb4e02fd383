-- name: BindAdministrator :execrows
-- Nothing where the user has the role in the whole tenant.
INSERT INTO rbac.bindings (id, tenant_id, user_id, role_id, revision)
VALUES (@id, @tenant_id, @user_id, @role_id, @revision)
ON CONFLICT ON CONSTRAINT bindings_same DO NOTHING;

-- name: LockErased :one
-- The revision of a tenant whether it is erased or not, and how much was erased.
INSERT INTO rbac.revisions (tenant_id, revision) VALUES ($1, 0)
ON CONFLICT (tenant_id) DO UPDATE SET revision = rbac.revisions.revision
RETURNING revision, erased;

-- name: MarkErased :exec
UPDATE rbac.revisions SET erased = @counts::jsonb WHERE tenant_id = @tenant_id;

-- name: EraseBindings :execrows
DELETE FROM rbac.bindings WHERE tenant_id = $1;

-- name: EraseMembers :execrows
DELETE FROM rbac.members WHERE tenant_id = $1;

-- name: EraseGroups :execrows
DELETE FROM rbac.groups WHERE tenant_id = $1;

-- name: EraseRoles :execrows
DELETE FROM rbac.roles WHERE tenant_id = $1;

-- name: EraseUsers :execrows
DELETE FROM rbac.users WHERE tenant_id = $1;

-- name: EraseUnits :execrows
DELETE FROM rbac.units WHERE tenant_id = $1;

-- name: EraseModules :execrows
DELETE FROM rbac.modules WHERE tenant_id = $1;

-- name: EraseTenantState :execrows
DELETE FROM rbac.tenants WHERE tenant_id = $1;
