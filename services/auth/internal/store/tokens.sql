-- name: LockSigningKeys :exec
LOCK TABLE auth.signing_keys IN SHARE ROW EXCLUSIVE MODE;

-- name: CreateSigningKey :exec
INSERT INTO auth.signing_keys (kid, public_key, sealed_key, created_at) VALUES ($1, $2, $3, clock_timestamp());

-- name: TrustedSigningKeys :many
SELECT * FROM auth.signing_keys
WHERE trusted_until IS NULL OR trusted_until > clock_timestamp()
ORDER BY created_at DESC, kid;

-- name: RetireSigningKeys :exec
UPDATE auth.signing_keys SET retired_at = clock_timestamp() + make_interval(secs => @lead),
    trusted_until = clock_timestamp() + make_interval(secs => @trusted)
WHERE kid <> @successor AND retired_at IS NULL;

-- name: DropSigningKeys :exec
UPDATE auth.signing_keys SET retired_at = least(retired_at, clock_timestamp()), trusted_until = least(trusted_until, clock_timestamp())
WHERE kid <> @successor;

-- name: ForgetSigningKeys :exec
DELETE FROM auth.signing_keys WHERE trusted_until < clock_timestamp() - interval '1 day';

-- name: ListRevocations :many
SELECT id, revoked_until FROM auth.sessions
WHERE revoked_until > clock_timestamp() AND id > @after
ORDER BY id LIMIT @page;

-- name: SessionState :one
SELECT user_id, (ended_at IS NULL)::boolean AS open FROM auth.sessions WHERE id = $1;

-- name: OldestWaiting :one
SELECT coalesce(min(waiting.id) FILTER (WHERE waiting.event ->> 'type' = ANY(@types::text[])), 0)::bigint AS oldest,
    coalesce(max(waiting.id), 0)::bigint AS newest, count(*) AS looked_at
FROM (SELECT o.id, o.event FROM auth.outbox o WHERE o.id > 0 ORDER BY o.id LIMIT @most) AS waiting;
