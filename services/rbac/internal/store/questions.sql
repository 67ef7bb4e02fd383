-- name: CandidateRoles :many
SELECT id, name, permissions FROM rbac.roles
WHERE tenant_id IN ($1, '00000000-0000-0000-0000-000000000000') ORDER BY name;

-- name: DeclaredCodes :many
SELECT code FROM rbac.permissions;
