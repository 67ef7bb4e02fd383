-- name: CreateKey :exec
INSERT INTO auth.api_keys (id, module, environment, secret_hmac, operations, expires_at)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: KeyByID :one
SELECT id, module, environment, secret_hmac, operations, expires_at, revoked_at FROM auth.api_keys
WHERE id = $1;

-- name: RevokeKey :one
UPDATE auth.api_keys SET revoked_at = now()
WHERE id = $1 AND revoked_at IS NULL
RETURNING id;
