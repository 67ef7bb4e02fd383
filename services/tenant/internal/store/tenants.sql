-- name: SetModule :one
INSERT INTO tenant.activations (tenant_id, module, enabled) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, module) DO UPDATE
    SET enabled = excluded.enabled, revision = nextval('tenant.revision')
RETURNING *;

-- name: LockTenant :one
SELECT id FROM tenant.tenants WHERE id = $1 AND state <> 'erased' FOR SHARE;

-- name: LockContents :one
-- Orders the changes of what one tenant has.
SELECT id FROM tenant.tenants WHERE id = $1 AND state <> 'erased' FOR NO KEY UPDATE;

-- name: ListTenants :many
SELECT * FROM tenant.tenants WHERE id > @after ORDER BY id LIMIT @page;

-- name: ListActivations :many
SELECT * FROM tenant.activations WHERE tenant_id = ANY(@tenant_ids::uuid[]) ORDER BY tenant_id, module;
