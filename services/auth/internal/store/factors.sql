-- name: FactorState :one
SELECT EXISTS (SELECT 1 FROM auth.totp t WHERE t.user_id = @user_id AND t.confirmed_at IS NOT NULL)::boolean AS totp,
    (SELECT count(*) FROM auth.recovery_codes r WHERE r.user_id = @user_id AND r.used_at IS NULL)::int AS recovery_codes,
    (SELECT count(*) FROM auth.passkeys p WHERE p.user_id = @user_id)::int AS passkeys;

-- name: TOTP :one
SELECT * FROM auth.totp WHERE user_id = $1;

-- name: BeginTOTP :execrows
INSERT INTO auth.totp (user_id, tenant_id, sealed) VALUES (@user_id, @tenant_id, @sealed)
ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, created_at = now() WHERE totp.confirmed_at IS NULL;

-- name: EnrolTOTP :execrows
INSERT INTO auth.totp (user_id, tenant_id, sealed, confirmed_at, last_counter)
VALUES (@user_id, @tenant_id, @sealed, now(), @last_counter)
ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, confirmed_at = now(), last_counter = excluded.last_counter
    WHERE totp.confirmed_at IS NULL;

-- name: SpendTOTP :execrows
UPDATE auth.totp SET last_counter = @counter
WHERE user_id = @user_id AND confirmed_at IS NOT NULL AND last_counter < @counter;

-- name: AddRecoveryCodes :exec
INSERT INTO auth.recovery_codes (user_id, tenant_id, mac)
SELECT @user_id::uuid, sqlc.narg(tenant_id)::uuid, unnest(@macs::bytea[]);

-- name: SpendRecoveryCode :execrows
UPDATE auth.recovery_codes SET used_at = now() WHERE user_id = $1 AND mac = $2 AND used_at IS NULL;

-- name: AddPasskey :one
INSERT INTO auth.passkeys (id, user_id, tenant_id, name, credential) VALUES ($1, $2, $3, $4, $5)
RETURNING *;

-- name: ListPasskeys :many
SELECT * FROM auth.passkeys WHERE user_id = $1 ORDER BY created_at, id;

-- name: PasskeyOwner :one
SELECT user_id FROM auth.passkeys WHERE id = $1;

-- name: UsePasskey :execrows
UPDATE auth.passkeys SET credential = @credential, last_used_at = now() WHERE id = @id AND user_id = @user_id;

-- name: RemovePasskey :execrows
DELETE FROM auth.passkeys WHERE id = $1 AND user_id = $2;

-- name: AuthenticatedLately :one
SELECT EXISTS (
    SELECT 1 FROM auth.sessions
    WHERE id = @id AND user_id = @user_id AND ended_at IS NULL
        AND authenticated_at > clock_timestamp() - make_interval(secs => @within)
)::boolean AS lately;

-- name: AddChallenge :exec
INSERT INTO auth.challenges (mac, purpose, user_id, sealed, expires_at)
VALUES (@mac, @purpose, @user_id, @sealed, clock_timestamp() + make_interval(secs => @lifetime));

-- name: Challenge :one
SELECT * FROM auth.challenges
WHERE mac = @mac AND purpose = @purpose AND expires_at > clock_timestamp();

-- name: TryChallenge :one
UPDATE auth.challenges SET attempts = attempts + 1
WHERE mac = @mac AND attempts < @most AND expires_at > clock_timestamp()
RETURNING *;

-- name: LockChallenge :one
SELECT * FROM auth.challenges WHERE mac = @mac AND expires_at > clock_timestamp() FOR UPDATE;

-- name: KeepInChallenge :exec
UPDATE auth.challenges SET sealed = @sealed WHERE mac = @mac;

-- name: RemoveChallenge :exec
DELETE FROM auth.challenges WHERE mac = $1;

-- name: SweepChallenges :execrows
DELETE FROM auth.challenges WHERE mac IN (
    SELECT c.mac FROM auth.challenges c WHERE c.expires_at < now() LIMIT 1000 FOR UPDATE SKIP LOCKED);

-- name: SignInPolicy :one
SELECT sign_in FROM auth.policies WHERE tenant_id = $1;

-- name: SetSignInPolicy :exec
INSERT INTO auth.policies (tenant_id, sign_in) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET sign_in = excluded.sign_in, updated_at = now();
