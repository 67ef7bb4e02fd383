-- name: SettingsLayers :many
-- The layers of a set of settings that hold for a user of a tenant.
SELECT * FROM tenant.settings
WHERE namespace = @namespace AND (
    (tenant_id = @tenant_id::uuid AND user_id IN ('00000000-0000-0000-0000-000000000000', @user_id::uuid))
    OR (tenant_id = '00000000-0000-0000-0000-000000000000' AND user_id = '00000000-0000-0000-0000-000000000000'));

-- name: LockSettings :one
-- Makes the row where there is none, so that there is one to lock.
INSERT INTO tenant.settings (tenant_id, user_id, namespace, revision) VALUES ($1, $2, $3, 0)
ON CONFLICT (tenant_id, user_id, namespace) DO UPDATE SET namespace = excluded.namespace
RETURNING *;

-- name: PutSettings :one
UPDATE tenant.settings SET plain = $4, sealed = $5, updated_at = now(), revision = nextval('tenant.revision')
WHERE tenant_id = $1 AND user_id = $2 AND namespace = $3
RETURNING *;

-- name: AddSettingChange :exec
INSERT INTO tenant.settings_history (tenant_id, user_id, namespace, key, before, after, secret, by_user)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: SettingChanges :many
SELECT * FROM tenant.settings_history
WHERE namespace = @namespace AND user_id = '00000000-0000-0000-0000-000000000000'
  AND tenant_id IN (@tenant_id::uuid, '00000000-0000-0000-0000-000000000000')
  AND (@key::text = '' OR key = @key) AND id < @before
ORDER BY id DESC LIMIT @page;

-- name: EraseSettings :exec
DELETE FROM tenant.settings WHERE tenant_id = $1 AND namespace = $2;

-- name: EraseSettingsHistory :exec
DELETE FROM tenant.settings_history WHERE tenant_id = $1 AND namespace = $2;

-- name: SealedSettings :many
-- Some layers with secrets.
SELECT * FROM tenant.settings WHERE sealed <> '{}' LIMIT 20;

-- name: ErasePersonalSettings :exec
-- What a person set in any tenant.
DELETE FROM tenant.settings WHERE user_id = @user_id AND user_id <> '00000000-0000-0000-0000-000000000000';

-- name: ErasePersonalSettingsHistory :exec
DELETE FROM tenant.settings_history WHERE user_id = @user_id AND user_id <> '00000000-0000-0000-0000-000000000000';
