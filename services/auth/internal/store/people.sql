-- name: ListUsers :many
SELECT u.*,
    ARRAY(SELECT m.tenant_id FROM auth.memberships m WHERE m.user_id = u.id ORDER BY m.tenant_id)::uuid[] AS tenants,
    EXISTS (SELECT FROM auth.totp t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL)::boolean AS totp,
    EXISTS (SELECT FROM auth.passkeys p WHERE p.user_id = u.id)::boolean AS passkey
FROM auth.users u
WHERE u.tenant_id IS NOT DISTINCT FROM sqlc.narg(tenant_id)::uuid
    AND (u.email, u.id) > (@after_email::text, @after_id::uuid)
    AND CASE @status::text
        WHEN '' THEN u.deleted_at IS NULL
        WHEN 'deleted' THEN u.deleted_at IS NOT NULL
        WHEN 'disabled' THEN u.deleted_at IS NULL AND u.disabled_at IS NOT NULL
        WHEN 'invited' THEN u.deleted_at IS NULL AND u.disabled_at IS NULL AND u.password_hash = '' AND u.last_login_at IS NULL
        ELSE u.deleted_at IS NULL AND u.disabled_at IS NULL AND (u.password_hash <> '' OR u.last_login_at IS NOT NULL)
    END
    AND (cardinality(@patterns::text[]) = 0
        OR u.email ILIKE ANY (@patterns) OR u.username ILIKE ANY (@patterns) OR u.name ILIKE ANY (@patterns))
ORDER BY u.email, u.id
LIMIT @page;

-- name: UserDetail :one
SELECT u.*,
    ARRAY(SELECT m.tenant_id FROM auth.memberships m WHERE m.user_id = u.id ORDER BY m.tenant_id)::uuid[] AS tenants,
    EXISTS (SELECT FROM auth.totp t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL)::boolean AS totp,
    EXISTS (SELECT FROM auth.passkeys p WHERE p.user_id = u.id)::boolean AS passkey
FROM auth.users u WHERE u.id = $1;

-- name: UpdateUser :exec
UPDATE auth.users SET email = $2, username = $3, name = $4, must_change_password = $5 WHERE id = $1;

-- name: DisableUser :exec
UPDATE auth.users SET disabled_at = now() WHERE id = $1;

-- name: EnableUser :exec
UPDATE auth.users SET disabled_at = NULL WHERE id = $1;

-- name: RemoveTOTP :execrows
DELETE FROM auth.totp WHERE user_id = $1;

-- name: RemoveRecoveryCodes :exec
DELETE FROM auth.recovery_codes WHERE user_id = $1;

-- name: RemovePasskeys :execrows
DELETE FROM auth.passkeys WHERE user_id = $1;

-- name: RemovePasswordHistory :exec
DELETE FROM auth.password_history WHERE user_id = $1;

-- name: RemoveLinks :exec
DELETE FROM auth.links WHERE user_id = $1;

-- name: AddMembership :execrows
INSERT INTO auth.memberships (user_id, tenant_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: RemoveMembership :execrows
DELETE FROM auth.memberships WHERE user_id = $1 AND tenant_id = $2;

-- name: RemoveMemberships :exec
DELETE FROM auth.memberships WHERE user_id = $1;
