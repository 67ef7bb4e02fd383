// Package trailtest puts events into trails without a bus, for tests of what reads
// and removes them.
package trailtest

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/trail"
)

// Limit bounds every wait; nothing waits that long unless a test fails.
const Limit = 30 * time.Second

// Bounded ends with the test, or after Limit.
func Bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	t.Cleanup(cancel)
	return ctx
}

// World is a database of trails, and a directory of tenants.
type World struct {
	T         testing.TB
	DB        *database.DB
	URL       string
	Directory *directory.Directory
}

// New returns an empty one.
func New(t testing.TB) *World {
	t.Helper()
	w := &World{T: t, Directory: directory.New(slog.New(slog.DiscardHandler))}
	w.URL = kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) })
	w.DB = w.Open()
	return w
}

// Open connects once more, as another replica does.
func (w *World) Open() *database.DB {
	w.T.Helper()
	d, err := database.Open(Bounded(w.T), w.URL, "audit", 4)
	require.NoError(w.T, err)
	w.T.Cleanup(d.Close)
	return d
}

// Tenant makes one.
func (w *World) Tenant() string {
	id := kit.NewID()
	w.Directory.PutTenant(contract.Tenant{ID: id, Code: id[:8], Name: id, State: contract.TenantActive, IsActive: true, Revision: 1})
	return id
}

// As is the context of a request by a person of a tenant.
func As(t testing.TB, tenant string) context.Context {
	return kit.WithCaller(Bounded(t), kit.Caller{
		Principal: kit.Principal{Kind: kit.KindAnonymous}, User: kit.User{ID: uuid.NewString(), TenantID: tenant},
	})
}

// AsPlatform is the context of a request by a platform administrator.
func AsPlatform(t testing.TB) context.Context {
	return kit.WithCaller(Bounded(t), kit.Caller{User: kit.User{ID: uuid.NewString(), Platform: true}})
}

// Event is one of a trail; what is empty gets a value.
type Event struct {
	At                                             time.Time
	Action, Outcome, User, Address, Type, Resource string
}

// Add adds events to a tenant's trail.
func (w *World) Add(tenant string, all ...Event) {
	w.T.Helper()
	ctx := Bounded(w.T)
	require.NoError(w.T, w.DB.In(ctx, tenant, func(tx pgx.Tx) error {
		var last int64
		var raw []byte
		err := tx.QueryRow(ctx, `INSERT INTO heads (tenant_id, last_seq) VALUES ($1, 0)
			ON CONFLICT (tenant_id) DO UPDATE SET last_seq = heads.last_seq RETURNING last_seq, frontier`, tenant).Scan(&last, &raw)
		if err != nil {
			return err
		}
		frontier, err := trail.UnmarshalFrontier(raw)
		if err != nil {
			return err
		}
		for _, e := range all {
			last++
			line := entry(tenant, last, e)
			leaf := trail.LeafHash(line)
			frontier.Append(leaf)
			_, err := tx.Exec(ctx, `INSERT INTO events (tenant_id, tenant_seq, occurred_at, id, message_id, stream, type, source, action, outcome, reason,
					user_id, module, key_id, resource_type, resource_id, request_id, operation, address, agent, entry, leaf)
				VALUES ($1, $2, $3, $4::text::uuid, $4::text, 'EVENTS', 't', 'crm', $5, $6, '', nullif($7, '')::uuid, '', '', $8, $9, '', '', $10, '', $11, $12)`,
				tenant, last, e.At, kit.NewID(), e.Action, or(e.Outcome, "success"), e.User, or(e.Type, "invoice"), e.Resource, e.Address, line, leaf[:])
			if err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, "UPDATE heads SET last_seq = $2, frontier = $3 WHERE tenant_id = $1", tenant, last, frontier.Marshal())
		return err
	}))
}

func entry(tenant string, seq int64, e Event) []byte {
	line := trail.Entry{
		TenantID: tenant, Sequence: seq, Stream: events.EventsStream, ID: kit.NewID(), Source: "/core/crm", Type: "dev.buildify.crm.x.y.v1",
		Time: e.At.UTC().Truncate(time.Microsecond), Data: []byte(`{"action":"` + e.Action + `"}`),
	}
	return line.Encode()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Told takes the events of a kind out of the outbox, the oldest first.
func (w *World) Told(kind events.Kind) (told []events.Event) {
	w.T.Helper()
	ctx := Bounded(w.T)
	rows, err := w.DB.Query(ctx, `WITH gone AS (DELETE FROM outbox WHERE event ->> 'type' = $1 RETURNING id, event)
		SELECT event::text FROM gone ORDER BY id`, kind.Type())
	require.NoError(w.T, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.T, err)
	for _, line := range lines {
		var e events.Event
		require.NoError(w.T, json.Unmarshal([]byte(line), &e))
		told = append(told, e)
	}
	return told
}

// Count is what a query over all tenants counts.
func (w *World) Count(sql string, args ...any) (n int) {
	w.T.Helper()
	ctx := Bounded(w.T)
	require.NoError(w.T, w.DB.Read(ctx, database.Everything, func(tx pgx.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&n) }))
	return n
}
