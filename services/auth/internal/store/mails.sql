-- name: AddMail :exec
INSERT INTO auth.mails (sealed) VALUES ($1);

-- name: TakeMail :one
UPDATE auth.mails SET attempts = attempts + 1, next_at = now() + make_interval(secs => @lease::float8)
WHERE id = (
    SELECT m.id FROM auth.mails m WHERE m.next_at <= now()
    ORDER BY m.next_at, m.id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: PostponeMail :exec
UPDATE auth.mails SET next_at = now() + make_interval(secs => @wait::float8) WHERE id = @id AND attempts = @attempts;

-- name: RemoveMail :exec
DELETE FROM auth.mails WHERE id = $1;

-- name: CountMails :one
SELECT count(*) FROM auth.mails;
