-- name: ListPermissions :many
SELECT * FROM rbac.permissions ORDER BY code;

-- name: LockPermissions :exec
-- One declaration of a module at a time.
SELECT pg_advisory_xact_lock(hashtextextended('rbac.permissions:' || @module::text, 0));

-- name: PermissionsOf :many
SELECT * FROM rbac.permissions WHERE module = $1 ORDER BY code;

-- name: PutPermissions :batchexec
INSERT INTO rbac.permissions (code, module, category, title, risk) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (code) DO UPDATE SET module = excluded.module, category = excluded.category, title = excluded.title, risk = excluded.risk;

-- name: RemovePermissions :exec
DELETE FROM rbac.permissions WHERE code = ANY (@codes::text[]);
