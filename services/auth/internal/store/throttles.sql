-- name: PeekThrottles :many
SELECT * FROM auth.throttles WHERE key = ANY(@keys::bytea[]);

-- name: LockThrottles :many
INSERT INTO auth.throttles (key, failures, last_at, until)
SELECT k, 0, @at, 'epoch' FROM unnest(@keys::bytea[]) AS k ORDER BY k
ON CONFLICT (key) DO UPDATE SET failures = throttles.failures
RETURNING *;

-- name: SetThrottle :batchexec
UPDATE auth.throttles SET failures = @failures, last_at = @last_at, until = @until WHERE key = @key;

-- name: ClearThrottles :exec
DELETE FROM auth.throttles WHERE key IN (
    SELECT t.key FROM auth.throttles t WHERE t.key >= @low AND t.key < @high ORDER BY t.key FOR UPDATE);

-- name: DropThrottles :exec
DELETE FROM auth.throttles WHERE key IN (
    SELECT t.key FROM auth.throttles t WHERE t.key = ANY(@keys::bytea[]) ORDER BY t.key FOR UPDATE);

-- name: SweepThrottles :execrows
DELETE FROM auth.throttles WHERE key IN (
    SELECT t.key FROM auth.throttles t WHERE t.last_at < @before LIMIT 1000 FOR UPDATE SKIP LOCKED);

-- name: KnownSource :one
SELECT EXISTS (
    SELECT 1 FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id
    WHERE u.email = @email AND u.deleted_at IS NULL AND s.last_used_at > @since
      AND CASE WHEN s.address = '' THEN @network::text = '' ELSE s.address::inet <<= nullif(@network::text, '')::inet END
)::boolean AS known;
