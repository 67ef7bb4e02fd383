-- name: GetMenuOverrides :one
SELECT * FROM tenant.menu_overrides WHERE tenant_id = $1;

-- name: AddMenuOverrides :exec
INSERT INTO tenant.menu_overrides (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: LockMenuOverrides :one
SELECT * FROM tenant.menu_overrides WHERE tenant_id = $1 FOR UPDATE;

-- name: PutMenuOverrides :one
UPDATE tenant.menu_overrides SET items = $2, revision = revision + 1, updated_at = now()
WHERE tenant_id = $1
RETURNING *;
