package ingest

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// holdsTree holds the tree of a tenant against one made anew of its entries.
func (w *world) holdsTree(tenant string) {
	w.t.Helper()
	var entries [][]byte
	var frontier []byte
	type tile struct {
		Level  int
		N      int64
		Hashes []byte
	}
	var tiles []tile
	require.NoError(w.t, w.db.Read(bounded(w.t), tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(bounded(w.t), "SELECT entry FROM events ORDER BY tenant_seq")
		require.NoError(w.t, err)
		entries, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
		require.NoError(w.t, err)
		rows, err = tx.Query(bounded(w.t), "SELECT level, n, hashes FROM tiles ORDER BY level, n")
		require.NoError(w.t, err)
		tiles, err = pgx.CollectRows(rows, pgx.RowToStructByPos[tile])
		require.NoError(w.t, err)
		return tx.QueryRow(bounded(w.t), "SELECT frontier FROM heads").Scan(&frontier)
	}))
	var hashes []trail.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]trail.Hash, error) {
		var found []trail.Hash
		for _, at := range indexes {
			found = append(found, hashes[at])
		}
		return found, nil
	})
	for i, line := range entries {
		e, err := trail.Decode(line)
		require.NoError(w.t, err)
		require.Equal(w.t, []any{tenant, int64(i + 1)}, []any{e.TenantID, e.Sequence})
		more, err := tlog.StoredHashesForRecordHash(int64(i), trail.LeafHash(line), reader)
		require.NoError(w.t, err)
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(int64(len(entries)), reader)
	require.NoError(w.t, err)
	f, err := trail.UnmarshalFrontier(frontier)
	require.NoError(w.t, err)
	require.Equal(w.t, root, f.Root())
	full := 0
	for _, t := range tiles {
		data, err := tlog.ReadTileData(tlog.Tile{H: trail.TileHeight, L: t.Level, N: t.N, W: len(t.Hashes) / len(trail.Hash{})}, reader)
		require.NoError(w.t, err)
		require.Equal(w.t, data, t.Hashes)
		if t.Level == 0 {
			full++
		}
	}
	require.Equal(w.t, len(entries)/trail.TileWidth, full)
}

func TestTheTreesGrowWithTheTrails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenants := []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}
	r := w.readerByHand(events.AuditStream)
	random := func(n int) int { return int(uuid.New()[0]) % n }
	for range 40 { // batches of any size, over the edges of tiles
		var rows []row
		for range random(200) {
			at := random(10)
			e := event(t, tenants[min(at, 2)])
			id := uuid.NewString()
			one := newRow(events.AuditStream, events.Extension(e, events.TenantID), id, e)
			one.MessageID = id
			rows = append(rows, one)
		}
		require.NoError(t, w.db.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
			n, err := r.place(bounded(t), db.New(tx), rows)
			require.Equal(t, len(rows), n)
			return err
		}))
	}
	for _, tenant := range tenants {
		w.holdsTree(tenant)
	}
}

// What was recorded before there were entries has some, in its old places, and
// what comes goes behind it.
func TestOldRecordsAreTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenants := []string{uuid.NewString(), uuid.NewString()}
	admin, err := pgx.Connect(bounded(t), w.url)
	require.NoError(t, err)
	defer func() { _ = admin.Close(bounded(t)) }()
	for i, tenant := range tenants {
		_, err = admin.Exec(bounded(t), `INSERT INTO audit.events_before (tenant_id, tenant_seq, id, message_id, occurred_at, user_id, source, action,
				resource_type, resource_id, request_id, received, stream, outcome)
			SELECT $1, n, gen_random_uuid(), gen_random_uuid()::text, $3::timestamptz + n * interval '1 second', gen_random_uuid(), 'crm', 'invoice.created',
				'invoice', '17', 'request-1', '{"user_id":"u","source":"crm","action":"invoice.created","details":{"a":1}}',
				CASE WHEN n % 2 = 0 THEN 'AUDIT' ELSE 'EVENTS' END, 'success'
			FROM generate_series(1, $2::int) AS n`, tenant, 700+1000*i, time.Now().AddDate(0, -3, 0))
		require.NoError(t, err)
		_, err = admin.Exec(bounded(t), "INSERT INTO audit.heads (tenant_id, last_seq) VALUES ($1, $2)", tenant, 700+1000*i)
		require.NoError(t, err)
	}
	w.send(event(t, tenants[0]))
	w.ingester()
	w.ingester()
	w.done()
	require.Equal(t, 701, w.gapFree(tenants[0]))
	require.Equal(t, 1700, w.gapFree(tenants[1]))
	for _, tenant := range tenants {
		w.holdsTree(tenant)
	}
	var left int
	require.NoError(t, admin.QueryRow(bounded(t), "SELECT count(*) FROM audit.events_before").Scan(&left))
	require.Zero(t, left)
}
