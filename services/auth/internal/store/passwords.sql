-- name: PasswordPolicy :one
SELECT password FROM auth.policies WHERE tenant_id = $1;

-- name: SetPasswordPolicy :exec
INSERT INTO auth.policies (tenant_id, password) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET password = excluded.password, updated_at = now();

-- name: StorePassword :exec
UPDATE auth.users SET password_hash = $2, password_changed_at = clock_timestamp(), must_change_password = false WHERE id = $1;

-- name: AddPasswordHistory :exec
INSERT INTO auth.password_history (user_id, tenant_id, password_hash) VALUES ($1, $2, $3);

-- name: LastPasswords :many
SELECT password_hash FROM auth.password_history WHERE user_id = $1 ORDER BY id DESC LIMIT $2;

-- name: PrunePasswordHistory :exec
DELETE FROM auth.password_history h WHERE h.user_id = $1 AND h.id <= (
    SELECT id FROM auth.password_history WHERE user_id = $1 ORDER BY id DESC OFFSET $2 LIMIT 1);
