-- name: CreateUser :one
INSERT INTO auth.users (id, tenant_id, email, username, password_hash)
VALUES ($1, $2, $3, $4, $5)
RETURNING revision;

-- name: DeleteUser :one
UPDATE auth.users SET deleted_at = now(), revision = nextval('auth.revision')
WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
RETURNING revision;

-- name: UserByEmail :one
SELECT id, tenant_id, email, username, password_hash FROM auth.users
WHERE email = $1 AND deleted_at IS NULL;

-- name: UserByID :one
SELECT id, tenant_id, email, username FROM auth.users
WHERE id = $1 AND deleted_at IS NULL;

-- name: ListMembers :many
SELECT id, tenant_id, (deleted_at IS NULL)::boolean AS active, revision FROM auth.users
WHERE id > @after ORDER BY id LIMIT @page;
