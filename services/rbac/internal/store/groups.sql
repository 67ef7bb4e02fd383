-- name: Group :one
SELECT g.*,
    (SELECT count(*) FROM rbac.members m WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id)::int AS members,
    ARRAY(SELECT DISTINCT b.role_id FROM rbac.bindings b WHERE b.group_id = g.id ORDER BY b.role_id)::uuid[] AS roles
FROM rbac.groups g WHERE g.id = @id AND g.tenant_id = @tenant_id;

-- name: ListGroups :many
SELECT g.*,
    (SELECT count(*) FROM rbac.members m WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id)::int AS members,
    ARRAY(SELECT DISTINCT b.role_id FROM rbac.bindings b WHERE b.group_id = g.id ORDER BY b.role_id)::uuid[] AS roles
FROM rbac.groups g
WHERE g.tenant_id = @tenant_id
    AND (g.name COLLATE "C", g.id) > (@after_name::text, @after_id::uuid)
    AND (sqlc.narg(user_id)::uuid IS NULL OR EXISTS (
        SELECT FROM rbac.members m WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id AND m.user_id = sqlc.narg(user_id)))
    AND (cardinality(@patterns::text[]) = 0 OR g.name ILIKE ANY (@patterns) OR g.title ILIKE ANY (@patterns))
ORDER BY g.name COLLATE "C", g.id
LIMIT @page;

-- name: GroupsByID :many
SELECT id FROM rbac.groups WHERE id = ANY (@ids::uuid[]) AND tenant_id = @tenant_id;

-- name: CreateGroup :exec
INSERT INTO rbac.groups (id, tenant_id, name, title, description, revision) VALUES ($1, $2, $3, $4, $5, $6);

-- name: UpdateGroup :exec
UPDATE rbac.groups SET name = $2, title = $3, description = $4, revision = $5, updated_at = now() WHERE id = $1;

-- name: TouchGroups :exec
UPDATE rbac.groups SET revision = @revision, updated_at = now() WHERE tenant_id = @tenant_id AND id = ANY (@ids::uuid[]);

-- name: TouchGroupsBoundTo :exec
UPDATE rbac.groups g SET revision = @revision, updated_at = now()
WHERE g.tenant_id = @tenant_id AND g.id IN (
    SELECT b.group_id FROM rbac.bindings b WHERE b.tenant_id = @tenant_id AND b.role_id = @role_id);

-- name: TouchGroupsOf :exec
-- Those that a user belongs to.
UPDATE rbac.groups g SET revision = @revision, updated_at = now()
WHERE g.tenant_id = @tenant_id AND g.id IN (
    SELECT m.group_id FROM rbac.members m WHERE m.tenant_id = @tenant_id AND m.user_id = @user_id);

-- name: DeleteGroup :exec
DELETE FROM rbac.groups WHERE id = $1;

-- name: ListGroupMembers :many
SELECT user_id FROM rbac.members
WHERE tenant_id = @tenant_id AND group_id = @group_id AND user_id > @after
ORDER BY user_id
LIMIT @page;

-- name: AddMembers :many
-- Returns who was not in before.
INSERT INTO rbac.members (tenant_id, group_id, user_id)
SELECT @tenant_id, @group_id, added FROM unnest(@users::uuid[]) added
ON CONFLICT DO NOTHING
RETURNING user_id;

-- name: RemoveMembers :many
-- Returns who was in before.
DELETE FROM rbac.members
WHERE tenant_id = @tenant_id AND group_id = @group_id AND user_id = ANY (@users::uuid[])
RETURNING user_id;
