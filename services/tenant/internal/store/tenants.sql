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
