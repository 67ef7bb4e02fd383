-- name: StoreCalls :execrows
-- A batch that comes again is known by its key. What is told late of an erased
-- tenant is not kept.
INSERT INTO audit.calls (tenant_id, last_at, batch_id, part, first_at, service, count, operations, records)
SELECT @tenant_id, @last_at, @batch_id, @part, @first_at, @service, @count, @operations::text[], @records
WHERE NOT EXISTS (SELECT FROM audit.heads h WHERE h.tenant_id = @tenant_id AND h.erased)
ON CONFLICT DO NOTHING;

-- name: ListCalls :many
-- Groups of calls, the newest first, after a place among them.
SELECT last_at, batch_id, part, count, records
FROM audit.calls
WHERE tenant_id = @tenant_id
  AND (last_at, batch_id, part) <= (@last_at::timestamptz, @batch_id::uuid, @part::int)
  AND (sqlc.narg(operation)::text IS NULL OR operations @> ARRAY[sqlc.narg(operation)::text])
  AND last_at >= @since::timestamptz AND first_at < @until::timestamptz
ORDER BY last_at DESC, batch_id DESC, part DESC
LIMIT @page;

-- name: EraseCalls :execrows
DELETE FROM audit.calls gone WHERE gone.tenant_id = @tenant_id AND gone.last_at <= (
    SELECT max(f.last_at) FROM (SELECT c.last_at FROM audit.calls c WHERE c.tenant_id = @tenant_id ORDER BY c.last_at LIMIT 1000) AS f);

-- name: ExpireCalls :execrows
DELETE FROM audit.calls gone WHERE gone.last_at <= (
    SELECT max(f.last_at) FROM (SELECT c.last_at FROM audit.calls c WHERE c.last_at < @before ORDER BY c.last_at LIMIT 1000) AS f);
