-- name: ClaimModule :execrows
INSERT INTO tenant.modules (id, owner_id, name, category) VALUES (@id, @owner_id, @name, @category)
ON CONFLICT (id) DO NOTHING;

-- name: ModuleInUse :one
-- Whether tenants have it without a manifest.
SELECT EXISTS (SELECT FROM tenant.activations WHERE module = $1);

-- name: GetModule :one
SELECT * FROM tenant.modules WHERE id = $1;

-- name: LockModule :one
-- Orders the changes of one module and its versions.
SELECT * FROM tenant.modules WHERE id = $1 FOR NO KEY UPDATE;

-- name: WriteModule :one
UPDATE tenant.modules SET name = @name, category = @category, visibility = @visibility, allowed = @allowed,
    suspended = @suspended, declared = @declared, revision = nextval('tenant.revision')
WHERE id = @id
RETURNING *;

-- name: DropModule :execrows
-- Without versions, and nothing to remember of it, its id is free again.
DELETE FROM tenant.modules m WHERE m.id = $1 AND m.suspended = ''
    AND NOT EXISTS (SELECT FROM tenant.module_versions v WHERE v.module = m.id);

-- name: GetVersion :one
SELECT * FROM tenant.module_versions WHERE module = $1 AND version = $2;

-- name: LockVersion :one
SELECT * FROM tenant.module_versions WHERE module = $1 AND version = $2 FOR NO KEY UPDATE;

-- name: PutDraft :one
INSERT INTO tenant.module_versions (module, version, source, manifest, findings)
VALUES (@module, @version, @source, @manifest, @findings)
ON CONFLICT (module, version) DO UPDATE SET state = 'draft', source = excluded.source, manifest = excluded.manifest,
    findings = excluded.findings, asks = '{}', automatic = false, comment = '', submitted_by = '', decided_by = '',
    submitted_at = NULL, decided_at = NULL, revision = nextval('tenant.revision')
RETURNING *;

-- name: WriteVersion :one
UPDATE tenant.module_versions SET state = @state, suspended = @suspended, findings = @findings, asks = @asks,
    automatic = @automatic, comment = @comment, rollout_percent = @rollout_percent, rollout_tenants = @rollout_tenants,
    submitted_by = @submitted_by, decided_by = @decided_by, submitted_at = sqlc.narg(submitted_at),
    decided_at = sqlc.narg(decided_at), published_at = sqlc.narg(published_at), revision = nextval('tenant.revision')
WHERE module = @module AND version = @version
RETURNING *;

-- name: DeleteVersion :execrows
DELETE FROM tenant.module_versions WHERE module = $1 AND version = $2;

-- name: VersionsOf :many
-- The versions of modules, without what is large.
SELECT module, version, state, suspended, findings, asks, automatic, comment, rollout_percent, rollout_tenants, submitted_by,
    decided_by, created_at, submitted_at, decided_at, published_at, revision,
    coalesce(manifest -> 'compat' ->> 'core', '')::text AS core
FROM tenant.module_versions WHERE module = ANY (@modules::text[]);

-- name: WaitingVersions :many
SELECT module, version, state, suspended, findings, asks, automatic, comment, rollout_percent, rollout_tenants, submitted_by,
    decided_by, created_at, submitted_at, decided_at, published_at, revision,
    coalesce(manifest -> 'compat' ->> 'core', '')::text AS core
FROM tenant.module_versions WHERE state = 'submitted' ORDER BY submitted_at, module, version LIMIT @page;

-- name: SearchModules :many
-- Candidates: whether one has a version for the tenant its rollouts say too.
SELECT m.* FROM tenant.modules m
WHERE m.id COLLATE "C" > @after::text
    AND (NOT @owned::boolean OR m.owner_id = @tenant_id::uuid)
    AND (@category::text = '' OR m.category = @category)
    AND (cardinality(@patterns::text[]) = 0 OR m.id ILIKE ANY (@patterns) OR m.name ILIKE ANY (@patterns))
    AND (@everything::boolean OR m.owner_id = @tenant_id
        OR EXISTS (SELECT FROM tenant.activations a WHERE a.tenant_id = @tenant_id AND a.module = m.id AND a.installed)
        OR (m.suspended = '' AND (m.visibility = 'all' OR (m.visibility = 'allow_list' AND @tenant_id = ANY (m.allowed)))
            AND EXISTS (SELECT FROM tenant.module_versions v WHERE v.module = m.id AND v.state = 'published' AND v.suspended = '')))
ORDER BY m.id COLLATE "C" LIMIT @page;

-- name: InstalledOf :many
-- Which of the modules the tenant has, and in which version.
SELECT module, version FROM tenant.activations
WHERE tenant_id = @tenant_id AND installed AND module = ANY (@modules::text[]);

-- name: AddFiles :exec
INSERT INTO tenant.module_files (module, version, path, digest, size)
SELECT @module, @version, unnest(@paths::text[]), unnest(@digests::text[]), unnest(@sizes::bigint[]);

-- name: RemoveFiles :exec
DELETE FROM tenant.module_files WHERE module = $1 AND version = $2;

-- name: FilesOf :many
-- A version's files, and whether each was uploaded.
SELECT f.path, f.digest, f.size,
    EXISTS (SELECT FROM tenant.assets a WHERE a.digest = f.digest AND a.complete AND a.size = f.size) AS uploaded
FROM tenant.module_files f WHERE f.module = $1 AND f.version = $2 ORDER BY f.path COLLATE "C";

-- name: WantedFile :one
-- Whether a version of a publisher, or of any, has a file of that digest and
-- size.
SELECT EXISTS (
    SELECT FROM tenant.module_files f JOIN tenant.modules m ON m.id = f.module
    WHERE f.digest = @digest AND f.size = @size AND (sqlc.narg(owner_id)::uuid IS NULL OR m.owner_id = sqlc.narg(owner_id)));

-- name: TakeAsset :one
-- Locks the row that the parts of an asset belong to.
INSERT INTO tenant.assets (digest, size) VALUES (@digest, @size)
ON CONFLICT (digest) DO UPDATE SET created_at = now(),
    size = CASE WHEN tenant.assets.complete THEN tenant.assets.size ELSE excluded.size END
RETURNING *;

-- name: PutPart :exec
INSERT INTO tenant.asset_parts (digest, place, data) VALUES ($1, $2, $3)
ON CONFLICT (digest, place) DO UPDATE SET data = excluded.data;

-- name: UploadedParts :one
SELECT count(*)::bigint AS parts, coalesce(sum(length(data)), 0)::bigint AS size FROM tenant.asset_parts WHERE digest = $1;

-- name: AssetParts :many
SELECT data FROM tenant.asset_parts WHERE digest = $1 ORDER BY place;

-- name: DropParts :exec
DELETE FROM tenant.asset_parts WHERE digest = $1;

-- name: CompleteAsset :exec
UPDATE tenant.assets SET complete = true WHERE digest = $1;

-- name: ServedFile :one
-- A file of a version that may be served, or that is under review.
SELECT f.path, f.digest, f.size FROM tenant.module_files f
JOIN tenant.module_versions v ON v.module = f.module AND v.version = f.version
JOIN tenant.modules m ON m.id = f.module
WHERE f.module = @module AND f.version = @version AND f.path = @path
    AND (@review::boolean OR (v.state IN ('approved', 'published', 'deprecated') AND v.suspended = '' AND m.suspended = ''));

-- name: AssetPart :one
SELECT p.data FROM tenant.asset_parts p JOIN tenant.assets a ON a.digest = p.digest AND a.complete
WHERE p.digest = $1 AND p.place = $2;

-- name: SweepAssets :execrows
DELETE FROM tenant.assets a WHERE a.created_at < now() - interval '1 day'
    AND NOT EXISTS (SELECT FROM tenant.module_files f WHERE f.digest = a.digest);

-- name: PublisherUse :one
-- What a publisher keeps in the registry, and how many versions one module has.
SELECT (SELECT count(*) FROM tenant.modules m WHERE m.owner_id = @owner_id) AS modules,
    (SELECT count(*) FROM tenant.module_versions v WHERE v.module = @module) AS versions,
    (SELECT coalesce(sum(d.size), 0) FROM (
        SELECT DISTINCT f.digest, f.size FROM tenant.module_files f JOIN tenant.modules m ON m.id = f.module AND m.owner_id = @owner_id
    ) d)::bigint AS bytes;
