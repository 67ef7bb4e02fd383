-- name: AddLink :exec
INSERT INTO auth.links (mac, user_id, tenant_id, purpose, expires_at)
VALUES ($1, $2, $3, $4, now() + make_interval(secs => @lifetime::float8));

-- name: LinkByMAC :one
SELECT * FROM auth.links WHERE mac = $1 AND expires_at > now();

-- name: TakeLink :one
DELETE FROM auth.links WHERE mac = $1 AND expires_at > now()
RETURNING *;

-- name: PruneLinks :exec
DELETE FROM auth.links WHERE expires_at < now();

-- name: EndPassword :exec
UPDATE auth.users SET password_hash = '', password_changed_at = clock_timestamp(), last_login_at = coalesce(last_login_at, created_at) WHERE id = $1;
