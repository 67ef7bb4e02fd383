-- name: LoggedIn :one
UPDATE auth.users SET last_login_at = now()
WHERE id = $1 AND deleted_at IS NULL AND disabled_at IS NULL
RETURNING *;

-- name: UpgradePasswordHash :exec
UPDATE auth.users SET password_hash = @password_hash WHERE id = @id AND password_hash = @old_hash;

-- name: UpdateProfile :exec
UPDATE auth.users SET username = @username, name = @name, revision = nextval('auth.revision') WHERE id = @id;

-- name: IsMember :one
SELECT EXISTS (SELECT 1 FROM auth.memberships WHERE user_id = $1 AND tenant_id = $2)::boolean AS member;

-- name: CreateSession :one
INSERT INTO auth.sessions (id, user_id, tenant_id, acting_tenant, methods, address, agent, expires_at, absolute_until)
VALUES (@id, @user_id, @tenant_id, @tenant_id, @methods, @address, @agent, now() + interval '14 days', now() + interval '90 days')
RETURNING *;

-- name: LockSession :one
SELECT sqlc.embed(s), (ended_at IS NULL AND expires_at > clock_timestamp())::boolean AS open
FROM auth.sessions s WHERE id = $1 FOR UPDATE;

-- name: UseSession :one
UPDATE auth.sessions SET address = @address, agent = @agent, acting_tenant = @acting_tenant,
    last_used_at = clock_timestamp(), expires_at = least(clock_timestamp() + interval '14 days', absolute_until)
WHERE id = @id
RETURNING *;

-- name: SwitchSession :exec
UPDATE auth.sessions SET acting_tenant = @acting_tenant WHERE id = @id;

-- name: ListSessions :many
SELECT * FROM auth.sessions
WHERE user_id = $1 AND ended_at IS NULL AND expires_at > now()
ORDER BY last_used_at DESC, id DESC LIMIT 100;

-- name: EndSession :one
UPDATE auth.sessions SET ended_at = now(), end_reason = @reason, revoked_until = clock_timestamp() + make_interval(secs => @keep)
WHERE id = @id AND user_id = @user_id AND ended_at IS NULL
RETURNING id, revoked_until, (expires_at > now())::boolean AS open;

-- name: EndSessions :many
UPDATE auth.sessions SET ended_at = now(), end_reason = @reason, revoked_until = clock_timestamp() + make_interval(secs => @keep)
WHERE user_id = @user_id AND ended_at IS NULL AND id IS DISTINCT FROM sqlc.narg(except_id)::uuid
RETURNING id, revoked_until, (expires_at > now())::boolean AS open;

-- name: EndSurplusSessions :many
UPDATE auth.sessions SET ended_at = now(), end_reason = @reason, revoked_until = clock_timestamp() + make_interval(secs => @keep)
WHERE id IN (
    SELECT s.id FROM auth.sessions s
    WHERE s.user_id = @user_id AND s.ended_at IS NULL AND s.expires_at > now()
    ORDER BY s.last_used_at DESC, s.id DESC OFFSET @most)
RETURNING id, revoked_until, (expires_at > now())::boolean AS open;

-- name: AddRefreshToken :exec
INSERT INTO auth.refresh_tokens (mac, session_id, tenant_id) VALUES ($1, $2, $3);

-- name: RefreshTokenByMAC :one
SELECT spent_at, coalesce(spent_at > clock_timestamp() - interval '10 seconds', false)::boolean AS graced
FROM auth.refresh_tokens WHERE mac = $1 AND session_id = $2;

-- name: SpendRefreshToken :exec
UPDATE auth.refresh_tokens SET spent_at = clock_timestamp() WHERE mac = $1;

-- name: ForgetSpentRefreshTokens :exec
DELETE FROM auth.refresh_tokens WHERE session_id = $1 AND spent_at < now() - interval '1 hour';

-- name: SweepSessions :execrows
DELETE FROM auth.sessions WHERE id IN (
    SELECT s.id FROM auth.sessions s WHERE s.expires_at < now() - interval '31 days' LIMIT 1000 FOR UPDATE SKIP LOCKED);
