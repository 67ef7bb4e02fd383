-- name: BindingsByID :many
SELECT b.*, r.name AS role FROM rbac.bindings b JOIN rbac.roles r ON r.id = b.role_id
WHERE b.id = ANY (@ids::uuid[]) AND b.tenant_id = @tenant_id;

-- name: ListBindings :many
SELECT b.*, r.name AS role FROM rbac.bindings b JOIN rbac.roles r ON r.id = b.role_id
WHERE b.tenant_id = @tenant_id AND b.id > @after
    AND (sqlc.narg(user_id)::uuid IS NULL OR b.user_id = sqlc.narg(user_id))
    AND (sqlc.narg(group_id)::uuid IS NULL OR b.group_id = sqlc.narg(group_id))
    AND (sqlc.narg(role_id)::uuid IS NULL OR b.role_id = sqlc.narg(role_id))
    AND (sqlc.narg(unit_id)::uuid IS NULL OR b.unit_id = sqlc.narg(unit_id))
    AND (@resource_type::text = '' OR b.resource_type = @resource_type)
    AND (@resource_id::text = '' OR b.resource_id = @resource_id)
    AND (cardinality(@patterns::text[]) = 0 OR r.name ILIKE ANY (@patterns))
ORDER BY b.id
LIMIT @page;

-- name: AddBindings :batchexec
INSERT INTO rbac.bindings
    (id, tenant_id, user_id, group_id, role_id, deny, unit_id, resource_type, resource_id, expires_at, created_by, revision)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: UpdateBinding :exec
UPDATE rbac.bindings SET expires_at = $2, revision = $3 WHERE id = $1;

-- name: DeleteBindings :exec
DELETE FROM rbac.bindings WHERE tenant_id = @tenant_id AND id = ANY (@ids::uuid[]);

-- name: DeleteBindingsOf :exec
-- Those of a group, or to a role.
DELETE FROM rbac.bindings
WHERE tenant_id = @tenant_id AND (group_id = sqlc.narg(group_id)::uuid OR role_id = sqlc.narg(role_id)::uuid);

-- name: BindingsOf :many
-- Those of a group, or to a role.
SELECT * FROM rbac.bindings
WHERE tenant_id = @tenant_id AND (group_id = sqlc.narg(group_id)::uuid OR role_id = sqlc.narg(role_id)::uuid)
ORDER BY id
LIMIT @page;

-- name: CountBindingsOf :one
SELECT count(*)::int FROM rbac.bindings
WHERE tenant_id = @tenant_id AND (group_id = sqlc.narg(group_id)::uuid OR role_id = sqlc.narg(role_id)::uuid);

-- name: GivenBy :many
-- What a group or a role gives, or with deny takes away: each role and reach once.
SELECT DISTINCT role_id, unit_id, resource_type, resource_id, expires_at FROM rbac.bindings
WHERE tenant_id = @tenant_id AND deny = @deny AND (expires_at IS NULL OR expires_at > @now::timestamptz)
    AND (group_id = sqlc.narg(group_id)::uuid OR role_id = sqlc.narg(role_id)::uuid);

-- name: GivenTo :many
-- What a user is given, by themselves and by their groups: each role and reach once.
SELECT DISTINCT b.role_id, b.unit_id, b.resource_type, b.resource_id, b.expires_at FROM rbac.bindings b
WHERE b.tenant_id = @tenant_id AND NOT b.deny AND (b.expires_at IS NULL OR b.expires_at > @now::timestamptz)
    AND (b.user_id = @user_id::uuid OR b.group_id IN (
        SELECT m.group_id FROM rbac.members m WHERE m.tenant_id = @tenant_id AND m.user_id = @user_id::uuid));

-- name: BoundPlatformRoles :many
-- Which of the roles are the platform's, and whether the tenant binds them.
SELECT r.id, r.name, r.permissions,
    EXISTS (SELECT FROM rbac.bindings b WHERE b.role_id = r.id AND b.tenant_id = @tenant_id)::boolean AS bound
FROM rbac.roles r
WHERE r.id = ANY (@ids::uuid[]) AND r.tenant_id = '00000000-0000-0000-0000-000000000000';

-- name: UnitsByID :many
SELECT id FROM rbac.units WHERE tenant_id = @tenant_id AND id = ANY (@ids::uuid[]) AND NOT removed;

-- name: Losers :many
-- Who has something by a group, or by a role, and what else they have: users with
-- the same bindings together, the first 100 by id. An element of bindings is a
-- role's id and three letters, t or f: whether it is denied, in the whole tenant,
-- and going.
WITH affected AS (
    SELECT b.user_id FROM rbac.bindings b
    WHERE b.tenant_id = @tenant_id AND b.role_id = sqlc.narg(role_id)::uuid AND b.user_id IS NOT NULL
    UNION
    SELECT m.user_id FROM rbac.bindings b JOIN rbac.members m ON m.tenant_id = b.tenant_id AND m.group_id = b.group_id
    WHERE b.tenant_id = @tenant_id AND b.role_id = sqlc.narg(role_id)::uuid
    UNION
    SELECT m.user_id FROM rbac.members m WHERE m.tenant_id = @tenant_id AND m.group_id = sqlc.narg(group_id)::uuid
), held AS (
    SELECT a.user_id AS holder, b.id FROM affected a JOIN rbac.bindings b ON b.tenant_id = @tenant_id AND b.user_id = a.user_id
    UNION ALL
    SELECT a.user_id AS holder, b.id FROM affected a
    JOIN rbac.members m ON m.tenant_id = @tenant_id AND m.user_id = a.user_id
    JOIN rbac.bindings b ON b.tenant_id = @tenant_id AND b.group_id = m.group_id
), alike AS (
    SELECT h.holder, array_agg(DISTINCT concat(b.role_id, b.deny, b.unit_id IS NULL AND b.resource_type = '',
        coalesce(b.role_id = sqlc.narg(role_id)::uuid OR b.group_id = sqlc.narg(group_id)::uuid, false))) AS bindings
    FROM held h JOIN rbac.bindings b ON b.id = h.id
    WHERE (b.expires_at IS NULL OR b.expires_at > @now::timestamptz)
        AND NOT EXISTS (SELECT FROM rbac.users u WHERE u.tenant_id = @tenant_id AND u.user_id = h.holder AND u.suspended)
    GROUP BY h.holder
)
SELECT bindings::text[] AS bindings, count(*)::int AS users, ((array_agg(holder ORDER BY holder))[1:100])::uuid[] AS first
FROM alike GROUP BY bindings;

-- name: GivenIn :many
-- What bindings to units give, or with deny take away: each role and end once.
SELECT DISTINCT role_id, expires_at FROM rbac.bindings
WHERE tenant_id = @tenant_id AND deny = @deny AND (expires_at IS NULL OR expires_at > @now::timestamptz)
    AND unit_id = ANY (@units::uuid[]);
