package holds_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/services/audit/internal/app"
	"github.com/buildify/core/services/audit/internal/holds"
	"github.com/buildify/core/services/audit/internal/trailtest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

// A deleted tenant's trail waits for its holds, and goes when none is left.
func TestAnErasureWaitsForHolds(t *testing.T) {
	t.Parallel()
	w := trailtest.New(t)
	released := 0
	h := &holds.Holds{DB: w.DB, Directory: w.Directory, Committed: func() {}, Released: func() { released++ }}
	none := func(context.Context, string) error { return nil }
	a := &app.App{DB: w.DB, Committed: func() {}, EraseCalls: none, EraseWebhooks: none}
	tenant, other := w.Tenant(), w.Tenant()
	for _, id := range []string{tenant, other} {
		w.Add(id, trailtest.Event{At: time.Now(), Action: "invoice.created"})
	}
	erase := func(id string) {
		e, err := events.New(events.TenantErasing, "", 1, events.TenantErasure{TenantID: id})
		require.NoError(t, err)
		require.NoError(t, a.EraseTenant(trailtest.Bounded(t), e))
	}
	left := func(id string) int { return w.Count("SELECT count(*) FROM events WHERE tenant_id = $1", id) }
	var placed []contract.ID
	for range 2 {
		hold, err := h.Place(trailtest.AsPlatform(t), &contract.PlaceHoldRequest{TenantID: contract.ID(tenant), Reason: "a matter"})
		require.NoError(t, err)
		require.False(t, hold.ErasureWaits)
		placed = append(placed, contract.ID(hold.ID))
	}
	erase(tenant)
	erase(other)
	require.Equal(t, []int{1, 0}, []int{left(tenant), left(other)})
	require.Len(t, w.Told(events.TenantErased("audit")), 1)
	listed, err := h.List(trailtest.AsPlatform(t), &contract.ListHoldsRequest{})
	require.NoError(t, err)
	require.True(t, listed.Items[0].ErasureWaits && listed.Items[1].ErasureWaits)
	for i, id := range placed {
		require.Equal(t, i, released)
		_, err := h.Release(trailtest.AsPlatform(t), &contract.ReleaseHoldRequest{HoldID: id, Reason: "settled"})
		require.NoError(t, err)
		erase(tenant)
		require.Equal(t, 1-i, left(tenant))
	}
	require.Zero(t, w.Count("SELECT count(*) FROM held_erasures"))
	require.Len(t, w.Told(events.TenantErased("audit")), 1)
	_, err = h.Place(trailtest.AsPlatform(t), &contract.PlaceHoldRequest{TenantID: contract.ID(tenant), Reason: "too late"})
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
}
