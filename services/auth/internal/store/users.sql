-- name: CreateUser :one
INSERT INTO auth.users (id, tenant_id, platform, email, username, name, password_hash, must_change_password)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING *;

-- name: DeleteUser :one
UPDATE auth.users SET deleted_at = now(), password_hash = '', revision = nextval('auth.revision')
WHERE id = $1 AND deleted_at IS NULL
RETURNING *;

-- name: UserByEmail :one
SELECT * FROM auth.users WHERE email = $1 AND deleted_at IS NULL;

-- name: UserByID :one
SELECT * FROM auth.users WHERE id = $1 AND deleted_at IS NULL;

-- name: LockUser :one
SELECT * FROM auth.users WHERE id = $1 AND deleted_at IS NULL FOR UPDATE;

-- name: TouchUser :one
UPDATE auth.users SET revision = nextval('auth.revision') WHERE id = $1
RETURNING revision;

-- name: MemberByID :one
SELECT id, tenant_id, platform, (deleted_at IS NULL AND disabled_at IS NULL)::boolean AS active, revision,
    (deleted_at IS NOT NULL)::boolean AS deleted,
    ARRAY(SELECT m.tenant_id FROM auth.memberships m WHERE m.user_id = u.id ORDER BY m.tenant_id)::uuid[] AS tenants
FROM auth.users u WHERE id = $1;

-- name: ListMembers :many
SELECT id, tenant_id, platform, (deleted_at IS NULL AND disabled_at IS NULL)::boolean AS active, revision,
    (deleted_at IS NOT NULL)::boolean AS deleted,
    ARRAY(SELECT m.tenant_id FROM auth.memberships m WHERE m.user_id = u.id ORDER BY m.tenant_id)::uuid[] AS tenants
FROM auth.users u WHERE id > @after ORDER BY id LIMIT @page;

-- name: Widen :exec
SELECT set_config('buildify.tenant', '*', true);
