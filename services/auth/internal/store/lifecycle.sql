-- name: LockTenant :one
-- Orders those who change who belongs to a tenant.
INSERT INTO auth.tenants (tenant_id) VALUES ($1)
ON CONFLICT (tenant_id) DO UPDATE SET tenant_id = excluded.tenant_id
RETURNING *;

-- name: CountPeople :one
-- Who belongs to a tenant: its own people and further members.
SELECT ((SELECT count(*) FROM auth.users u WHERE u.tenant_id = $1 AND u.deleted_at IS NULL)
    + (SELECT count(*) FROM auth.memberships m WHERE m.tenant_id = $1))::int AS people;

-- name: SettleAdministrator :exec
UPDATE auth.tenants SET administrator = @outcome::jsonb WHERE tenant_id = @tenant_id;

-- name: Guests :many
-- The tenant's own people who belong to further tenants.
SELECT u.id, u.platform, nextval('auth.revision')::bigint AS revision,
    ARRAY(SELECT m.tenant_id FROM auth.memberships m WHERE m.user_id = u.id ORDER BY m.tenant_id)::uuid[] AS tenants
FROM auth.users u
WHERE u.tenant_id = $1 AND EXISTS (SELECT FROM auth.memberships m WHERE m.user_id = u.id);

-- name: MembersFrom :many
-- Other tenants' people who belong to the tenant.
SELECT m.user_id FROM auth.memberships m WHERE m.tenant_id = $1 ORDER BY m.user_id;

-- name: LeaveTenant :exec
-- Sessions that act in the tenant act at home from then on.
UPDATE auth.sessions SET acting_tenant = tenant_id WHERE acting_tenant = $1 AND tenant_id IS DISTINCT FROM $1;

-- name: KeysOfTenant :many
-- Keys that are good for nothing but the tenant.
SELECT * FROM auth.api_keys WHERE tenants <> '{}' AND tenants <@ ARRAY[@tenant_id::uuid] ORDER BY id FOR UPDATE;

-- name: RemoveTenantFromKeys :execrows
UPDATE auth.api_keys SET tenants = array_remove(tenants, @tenant_id::uuid)
WHERE @tenant_id::uuid = ANY (tenants) AND NOT tenants <@ ARRAY[@tenant_id::uuid];

-- name: UnlinkKeys :exec
UPDATE auth.api_keys SET rotated_from = NULL WHERE rotated_from = ANY (@ids::text[]);

-- name: EraseKeys :execrows
DELETE FROM auth.api_keys WHERE id = ANY (@ids::text[]);

-- name: EraseRefreshTokens :execrows
DELETE FROM auth.refresh_tokens WHERE tenant_id = $1;

-- name: EraseSessions :execrows
DELETE FROM auth.sessions WHERE tenant_id = $1;

-- name: ErasePasswordHistory :execrows
DELETE FROM auth.password_history WHERE tenant_id = $1;

-- name: EraseLinks :execrows
DELETE FROM auth.links WHERE tenant_id = $1;

-- name: EraseTOTP :execrows
DELETE FROM auth.totp WHERE tenant_id = $1;

-- name: EraseRecoveryCodes :execrows
DELETE FROM auth.recovery_codes WHERE tenant_id = $1;

-- name: ErasePasskeys :execrows
DELETE FROM auth.passkeys WHERE tenant_id = $1;

-- name: EraseChallenges :execrows
DELETE FROM auth.challenges WHERE user_id IN (SELECT u.id FROM auth.users u WHERE u.tenant_id = $1);

-- name: EraseMemberships :execrows
-- Of the tenant, and of its people elsewhere.
DELETE FROM auth.memberships m
WHERE m.tenant_id = $1 OR m.user_id IN (SELECT u.id FROM auth.users u WHERE u.tenant_id = $1);

-- name: ErasePolicies :execrows
DELETE FROM auth.policies WHERE tenant_id = $1;

-- name: EraseUsers :execrows
DELETE FROM auth.users WHERE tenant_id = $1;

-- name: MarkErased :exec
UPDATE auth.tenants SET erased = @counts::jsonb, administrator = NULL WHERE tenant_id = @tenant_id;
