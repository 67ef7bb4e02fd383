package reading

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/app"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
	"github.com/buildify/core/services/audit/internal/trailtest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type world struct {
	*Reading
	*trailtest.World
	// seal is what ingest does with what is personal; nil where nothing is sealed.
	seal func(ctx context.Context, q *db.Queries, e *db.AuditEvent, entry *trail.Entry) error
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := trailtest.New(t)
	r := &world{Reading: &Reading{DB: w.DB, TrailOf: app.TrailOf}, World: w}
	ctx := trailtest.Bounded(t)
	for month := -2; month <= 2; month++ {
		_, err := w.DB.Exec(ctx, "SELECT audit.ensure_month($1::date)", began.AddDate(0, month, 0))
		require.NoError(t, err)
	}
	return r
}

// logged is an event as a module logs it; what is empty is made up.
type logged struct {
	at   time.Time
	data record.Data
	// outcome is success when it is empty.
	outcome string
}

// log adds events to a trail, as ingest does, and returns them as they are read.
func (w *world) log(tenant string, all ...logged) (added []contract.AuditEvent) {
	w.T.Helper()
	ctx := trailtest.Bounded(w.T)
	require.NoError(w.T, w.World.DB.In(ctx, tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		heads, err := q.Heads(ctx, []string{tenant})
		if err != nil {
			return err
		}
		frontier, err := trail.UnmarshalFrontier(heads[0].Frontier)
		if err != nil {
			return err
		}
		var p db.StoreEventsParams
		for _, l := range all {
			row, entry := l.row(w.T, tenant, frontier.Size()+1)
			event, err := Event(&row, &entry)
			if err != nil {
				return err
			}
			added = append(added, event)
			if w.seal != nil {
				if err := w.seal(ctx, q, &row, &entry); err != nil {
					return err
				}
				row.Entry = entry.Encode()
			}
			leaf := trail.LeafHash(row.Entry)
			frontier.Append(leaf)
			row.Leaf = leaf[:]
			record.Append(&p, &row)
		}
		if err := q.StoreEvents(ctx, p); err != nil {
			return err
		}
		return q.AdvanceHeads(ctx, db.AdvanceHeadsParams{
			TenantIds: []string{tenant}, LastSeqs: []int64{frontier.Size()}, Frontiers: [][]byte{frontier.Marshal()},
		})
	}))
	return added
}

func (l logged) row(t testing.TB, tenant string, seq int64) (db.AuditEvent, trail.Entry) {
	if l.at.IsZero() {
		l.at = began.Add(time.Duration(seq) * time.Second)
	}
	if l.data.Action == "" {
		l.data.Action = "invoice.created"
	}
	if l.outcome == "" {
		l.outcome = "success"
	}
	data, err := json.Marshal(l.data)
	require.NoError(t, err)
	e := trail.Entry{
		TenantID: tenant, Sequence: seq, Stream: events.AuditStream, ID: kit.NewID(), Source: "/modules/" + l.data.Source, Type: record.Type,
		Time: l.at.UTC().Truncate(time.Microsecond), Data: data, Extensions: map[string]string{"outcome": l.outcome},
	}
	d := l.data
	return db.AuditEvent{
		TenantID: tenant, TenantSeq: seq, OccurredAt: e.Time, ID: e.ID, MessageID: fmt.Sprint(tenant, seq), Stream: e.Stream, Type: e.Type,
		Source: d.Source, Action: d.Action, Outcome: l.outcome, Reason: d.Reason, UserID: somebody(d.Actor.UserID), Module: d.Actor.Module,
		KeyID: d.Actor.KeyID, OnBehalfOf: somebody(d.Actor.OnBehalfOf), ResourceType: d.Target.Type, ResourceID: d.Target.ID,
		RequestID: d.Request.ID, Operation: d.Request.Operation, Address: d.Request.Address, Agent: d.Request.Agent, Entry: e.Encode(),
	}, e
}

func somebody(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// as is the context of a person of the tenant.
func as(t testing.TB, tenant string) context.Context { return trailtest.As(t, tenant) }

// listed reads all pages in order.
func (w *world) listed(tenant string, q contract.ListAuditRequest) (items []contract.AuditEvent) {
	w.T.Helper()
	ctx := as(w.T, tenant)
	for {
		page, err := w.List(ctx, &q)
		require.NoError(w.T, err)
		items = append(items, page.Items...)
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			return items
		}
	}
}

func sequences(items []contract.AuditEvent) []int64 {
	got := make([]int64, 0, len(items))
	for _, e := range items {
		got = append(got, e.Sequence)
	}
	return got
}

func anybody() string { return uuid.NewString() }
