-- name: PersonKey :one
SELECT sealed FROM audit.person_keys WHERE tenant_id = @tenant_id AND person_id = @person_id;

-- name: MakePersonKey :one
-- Of two who make one at once, both get the first one's.
INSERT INTO audit.person_keys (tenant_id, person_id, sealed) VALUES (@tenant_id, @person_id, @sealed)
ON CONFLICT (tenant_id, person_id) DO UPDATE SET sealed = audit.person_keys.sealed
RETURNING sealed;

-- name: ShredPerson :execrows
DELETE FROM audit.person_keys WHERE tenant_id = @tenant_id AND person_id = @person_id;

-- name: ErasePersonKeys :exec
DELETE FROM audit.person_keys WHERE tenant_id = $1;
