-- name: Unit :one
SELECT * FROM tenant.units WHERE tenant_id = $1 AND id = $2;

-- name: UnitPath :many
-- The units that it is in, from the top, itself last.
WITH RECURSIVE up AS (
    SELECT u.id, u.parent_id, 0 AS steps FROM tenant.units u WHERE u.tenant_id = @tenant_id::uuid AND u.id = @unit::uuid
    UNION ALL
    SELECT p.id, p.parent_id, up.steps + 1 FROM tenant.units p JOIN up ON p.id = up.parent_id
    WHERE p.tenant_id = @tenant_id::uuid AND up.steps < 64
)
SELECT u.* FROM up JOIN tenant.units u ON u.tenant_id = @tenant_id::uuid AND u.id = up.id
ORDER BY up.steps DESC;

-- name: UnitsBelow :many
-- A unit and those below it that are there, from above.
WITH RECURSIVE below AS (
    SELECT u.id, 1 AS level FROM tenant.units u WHERE u.tenant_id = @tenant_id::uuid AND u.id = @unit::uuid
    UNION ALL
    SELECT c.id, below.level + 1 FROM tenant.units c JOIN below ON c.parent_id = below.id
    WHERE c.tenant_id = @tenant_id::uuid AND NOT c.removed AND below.level < 64
)
SELECT sqlc.embed(u), below.level::int AS level FROM below JOIN tenant.units u ON u.tenant_id = @tenant_id::uuid AND u.id = below.id
ORDER BY below.level, u.name COLLATE "C", u.id;

-- name: UnitsRemovedWith :many
-- A removed unit and those below it that went with it, from above.
WITH RECURSIVE below AS (
    SELECT u.id, u.removed_with, 1 AS level FROM tenant.units u WHERE u.tenant_id = @tenant_id::uuid AND u.id = @unit::uuid
    UNION ALL
    SELECT c.id, c.removed_with, below.level + 1 FROM tenant.units c JOIN below ON c.parent_id = below.id
    WHERE c.tenant_id = @tenant_id::uuid AND c.removed_with = below.removed_with AND below.level < 64
)
SELECT below.id, below.level::int AS level FROM below ORDER BY below.level, below.id;

-- name: UnitCounts :one
-- How many units are directly in a unit, and below it at any depth.
WITH RECURSIVE below AS (
    SELECT u.id, 1 AS level FROM tenant.units u
    WHERE u.tenant_id = @tenant_id::uuid AND u.parent_id = @unit::uuid AND NOT u.removed
    UNION ALL
    SELECT c.id, below.level + 1 FROM tenant.units c JOIN below ON c.parent_id = below.id
    WHERE c.tenant_id = @tenant_id::uuid AND NOT c.removed AND below.level < 64
)
SELECT count(*) FILTER (WHERE level = 1)::int AS children, count(*)::int AS below FROM below;

-- name: UnitHeight :one
-- How many levels a unit has with what is below it.
WITH RECURSIVE below AS (
    SELECT u.id, 1 AS level FROM tenant.units u WHERE u.tenant_id = @tenant_id::uuid AND u.id = @unit::uuid
    UNION ALL
    SELECT c.id, below.level + 1 FROM tenant.units c JOIN below ON c.parent_id = below.id
    WHERE c.tenant_id = @tenant_id::uuid AND NOT c.removed AND below.level < 64
)
SELECT coalesce(max(level), 0)::int FROM below;

-- name: TenantUnits :many
-- Those that are there.
SELECT * FROM tenant.units WHERE tenant_id = $1 AND NOT removed ORDER BY name COLLATE "C", id;

-- name: SearchUnits :many
SELECT * FROM tenant.units
WHERE tenant_id = @tenant_id AND removed = @removed
    AND (name COLLATE "C", id) > (@after_name::text, @after_id::uuid)
    AND (@kind::text = '' OR kind = @kind)
    AND (sqlc.narg(parent_id)::uuid IS NULL OR parent_id = sqlc.narg(parent_id))
    AND (cardinality(@patterns::text[]) = 0 OR name ILIKE ANY (@patterns) OR code ILIKE ANY (@patterns))
ORDER BY name COLLATE "C", id
LIMIT @page;

-- name: ListUnits :many
SELECT * FROM tenant.units WHERE id > @after ORDER BY id LIMIT @page;

-- name: CreateUnit :one
INSERT INTO tenant.units (tenant_id, id, kind, parent_id, code, name, head_user_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING *;

-- name: ChangeUnit :one
UPDATE tenant.units SET parent_id = $3, code = $4, name = $5, head_user_id = $6,
    updated_at = now(), revision = nextval('tenant.revision')
WHERE tenant_id = $1 AND id = $2
RETURNING *;

-- name: RemoveUnits :many
UPDATE tenant.units SET removed = true, removed_with = @removed_with::uuid,
    updated_at = now(), revision = nextval('tenant.revision')
WHERE tenant_id = @tenant_id AND id = ANY (@ids::uuid[])
RETURNING *;

-- name: RestoreUnits :many
UPDATE tenant.units SET removed = false, removed_with = NULL,
    updated_at = now(), revision = nextval('tenant.revision')
WHERE tenant_id = @tenant_id AND id = ANY (@ids::uuid[])
RETURNING *;

-- name: TenantsHeadedBy :many
-- Where somebody heads a unit.
SELECT DISTINCT tenant_id FROM tenant.units WHERE head_user_id = @user_id::uuid;

-- name: ClearHead :many
UPDATE tenant.units SET head_user_id = NULL, updated_at = now(), revision = nextval('tenant.revision')
WHERE tenant_id = @tenant_id AND head_user_id = @user_id::uuid
RETURNING *;
