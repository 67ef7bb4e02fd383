package ingest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/app"
	"github.com/buildify/core/services/audit/internal/record"
)

func (w *world) count(sql string, args ...any) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.Read(bounded(w.t), database.Everything, func(tx pgx.Tx) error {
		return tx.QueryRow(bounded(w.t), sql, args...).Scan(&n)
	}))
	return n
}

// The trail of an erased tenant goes, and what is told late of it does not
// begin another one.
func TestNothingIsLeftOfAnErasedTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, other := uuid.NewString(), uuid.NewString()
	tell := func(tenant string) {
		for range 5 {
			w.send(event(t, tenant))
			w.tell(domainEvent(t, events.TenantChanged, tenant, contract.Tenant{ID: tenant}))
		}
	}
	tell(tenant)
	tell(other)
	poison, err := events.New(events.Kind{Service: "rbac", Entity: "x", Verb: "y"}, tenant, 1, nil)
	require.NoError(t, err)
	poison.SetID("no id")
	w.tell(poison)
	w.ingester()
	w.done()
	require.Equal(t, 10, w.gapFree(tenant))
	require.Len(t, w.deadLetters(), 1)

	none := func(context.Context, string) error { return nil }
	a := &app.App{DB: w.db, Committed: func() {}, EraseCalls: none, EraseWebhooks: none}
	erase, err := events.New(events.TenantErasing, "", 1, events.TenantErasure{TenantID: tenant})
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, a.EraseTenant(bounded(t), erase))
	}
	tell(tenant)
	tell(other)
	w.done()
	require.Zero(t, w.count("SELECT count(*) FROM events WHERE tenant_id = $1", tenant))
	require.Equal(t, 1, w.count("SELECT count(*) FROM heads WHERE tenant_id = $1 AND erased", tenant), "only the mark that it is erased")
	require.Empty(t, w.deadLetters())
	require.Equal(t, 20, w.gapFree(other))

	rows, err := w.db.Query(bounded(t), "SELECT event FROM outbox ORDER BY id")
	require.NoError(t, err)
	raw, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(t, err)
	require.Len(t, raw, 2, "each question is answered")
	var e events.Event
	require.NoError(t, e.UnmarshalJSON(raw[1]))
	require.True(t, events.TenantErased("audit").Is(e))
	var done events.TenantErasure
	require.NoError(t, json.Unmarshal(e.Data(), &done))
	require.Equal(t, events.TenantErasure{TenantID: tenant, Counts: map[string]int64{"events": 10}}, done)

	// The platform's own trail keeps that it was erased.
	w.tell(e)
	w.done()
	kept := w.record(e.ID())
	require.Equal(t, []string{record.PlatformTenant, "audit.tenant.erased", tenant}, []string{kept.Tenant, kept.Action, kept.ResourceID})
}
