-- name: AddLink :exec
INSERT INTO auth.links (mac, user_id, tenant_id, purpose, expires_at)
VALUES ($1, $2, $3, $4, now() + make_interval(secs => @lifetime::float8));

-- name: LinkByMAC :one
SELECT * FROM auth.links WHERE mac = $1 AND expires_at > now();

-- name: TakeLink :one
DELETE FROM auth.links WHERE mac = $1 AND expires_at > now()
RETURNING *;

-- name: SweepLinks :execrows
DELETE FROM auth.links WHERE mac IN (
    SELECT l.mac FROM auth.links l WHERE l.expires_at < now() LIMIT 1000 FOR UPDATE SKIP LOCKED);

-- name: EndPassword :exec
UPDATE auth.users SET password_hash = '', password_changed_at = clock_timestamp() WHERE id = $1;
