-- name: CreateTenant :one
INSERT INTO tenant.tenants (id, code, name) VALUES ($1, $2, $3)
RETURNING *;

-- name: SetTenantActive :one
UPDATE tenant.tenants SET is_active = $2, revision = nextval('tenant.revision')
WHERE id = $1
RETURNING *;

-- name: SetModule :one
INSERT INTO tenant.activations (tenant_id, module, enabled) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, module) DO UPDATE
    SET enabled = excluded.enabled, revision = nextval('tenant.revision')
RETURNING *;

-- name: LockTenant :one
SELECT id FROM tenant.tenants WHERE id = $1 FOR SHARE;

-- name: ListTenants :many
SELECT * FROM tenant.tenants WHERE id > @after ORDER BY id LIMIT @page;

-- name: ListActivations :many
SELECT * FROM tenant.activations WHERE tenant_id = ANY(@tenant_ids::uuid[]) ORDER BY tenant_id, module;

-- name: GetUnit :one
SELECT * FROM tenant.units WHERE tenant_id = $1 AND id = $2 FOR UPDATE;

-- name: PutUnit :one
INSERT INTO tenant.units (tenant_id, id, kind, parent_id, name, removed) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, id) DO UPDATE SET parent_id = excluded.parent_id, name = excluded.name,
    removed = excluded.removed, revision = nextval('tenant.revision')
RETURNING *;

-- name: UnitHasChildren :one
SELECT EXISTS (SELECT FROM tenant.units WHERE tenant_id = $1 AND parent_id = $2 AND NOT removed);

-- name: UnitIsBelow :one
-- Whether unit is ancestor, or below it.
WITH RECURSIVE up AS (
    SELECT u.id, u.parent_id FROM tenant.units u WHERE u.tenant_id = @tenant_id::uuid AND u.id = @unit::uuid
    UNION
    SELECT p.id, p.parent_id FROM tenant.units p JOIN up ON p.id = up.parent_id WHERE p.tenant_id = @tenant_id::uuid
)
SELECT EXISTS (SELECT FROM up WHERE up.id = @ancestor::uuid);

-- name: ListUnits :many
SELECT * FROM tenant.units WHERE id > @after ORDER BY id LIMIT @page;

-- name: LockUnits :one
-- Orders the changes of one tenant's tree.
SELECT id FROM tenant.tenants WHERE id = $1 FOR NO KEY UPDATE;
