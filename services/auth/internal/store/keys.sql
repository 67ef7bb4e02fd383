-- name: CreateKey :exec
INSERT INTO auth.api_keys (id, module, environment, secret_hmac, name, operations, tenants, cidrs, rate_class,
    rotated_from, created_by, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: KeyByID :one
SELECT * FROM auth.api_keys WHERE id = $1;

-- name: LockKey :one
SELECT * FROM auth.api_keys WHERE id = $1 FOR UPDATE;

-- name: KeySuccessor :one
SELECT id FROM auth.api_keys WHERE rotated_from = $1 ORDER BY created_at LIMIT 1;

-- name: ListKeys :many
SELECT * FROM auth.api_keys
WHERE (@module::text = '' OR module = @module)
  AND (@tenant::text = '' OR tenants = ARRAY[nullif(@tenant, '')::uuid])
  AND CASE @status::text
        WHEN 'revoked' THEN revoked_at IS NOT NULL
        WHEN 'expired' THEN revoked_at IS NULL AND expires_at <= now()
        WHEN 'active' THEN revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
        ELSE true
      END
  AND (created_at, id) < (@before_at::timestamptz, @before_id::text)
ORDER BY created_at DESC, id DESC LIMIT @page;

-- name: EndKey :exec
UPDATE auth.api_keys SET revoked_at = now() WHERE id = $1;

-- name: ExpireKey :exec
UPDATE auth.api_keys SET expires_at = $2 WHERE id = $1;

-- name: RecordKeyUses :exec
WITH uses AS (
    SELECT unnest(@ids::text[]) AS id, unnest(@ats::timestamptz[]) AS at, unnest(@addresses::text[]) AS address
), ordered AS ( -- so that replicas do not lock each other out
    SELECT k.id FROM auth.api_keys k JOIN uses USING (id) ORDER BY k.id FOR NO KEY UPDATE OF k
)
UPDATE auth.api_keys k SET last_used_at = uses.at, last_used_address = uses.address
FROM ordered JOIN uses USING (id)
WHERE k.id = ordered.id AND (k.last_used_at IS NULL OR k.last_used_at < uses.at);

-- name: WarnOfKeys :many
-- Each key once seven days and once a day before its end, whichever replica
-- comes first; none that lives no longer than that, and none that was replaced.
UPDATE auth.api_keys k SET warned_days = CASE WHEN k.expires_at <= now() + interval '1 day' THEN 1 ELSE 7 END
WHERE k.id IN (
    SELECT due.id FROM auth.api_keys due
    WHERE due.revoked_at IS NULL AND due.expires_at > now()
      AND ((due.expires_at <= now() + interval '1 day' AND coalesce(due.warned_days, 7) > 1
              AND due.expires_at - due.created_at > interval '1 day')
        OR (due.expires_at <= now() + interval '7 days' AND due.warned_days IS NULL
              AND due.expires_at - due.created_at > interval '7 days'))
      AND NOT EXISTS (SELECT FROM auth.api_keys successor WHERE successor.rotated_from = due.id)
    ORDER BY due.expires_at LIMIT 100 FOR UPDATE SKIP LOCKED
)
RETURNING k.id, k.module, k.tenants, k.expires_at, k.warned_days;

-- name: ActiveKeysOf :many
SELECT id FROM auth.api_keys
WHERE module = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now());
