-- name: BeginGranted :exec
INSERT INTO audit.granted (sequence) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: Granted :one
SELECT sequence FROM audit.granted FOR UPDATE;

-- name: GrantedSoFar :one
SELECT sequence FROM audit.granted;

-- name: SetGranted :exec
UPDATE audit.granted SET sequence = $1;
