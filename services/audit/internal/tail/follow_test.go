package tail

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/services/audit/internal/trailtest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

func at(n int64) *int64 { return &n }

func TestATrailIsReadForwardsFromAPlace(t *testing.T) {
	t.Parallel()
	w := trailtest.New(t)
	f, tenant, user := &Follower{DB: w.DB}, w.Tenant(), uuid.NewString()
	follow := func(r contract.FollowAuditRequest) (places []int64, through int64, more bool) {
		t.Helper()
		got, err := f.Follow(trailtest.Bounded(t), tenant, &r)
		require.NoError(t, err)
		require.Equal(t, tenant, got.TenantID)
		for _, e := range got.Items {
			places = append(places, e.Sequence)
			require.True(t, e.Details == nil || json.Valid(e.Details))
		}
		return places, got.Through, got.More
	}
	for _, c := range []struct {
		name    string
		request contract.FollowAuditRequest
		places  []int64
		through int64
		more    bool
	}{
		{"from now on, in an empty trail", contract.FollowAuditRequest{}, nil, 0, false},
		{"an empty trail", contract.FollowAuditRequest{After: at(0)}, nil, 0, false},
	} {
		places, through, more := follow(c.request)
		require.Equal(t, []any{c.places, c.through, c.more}, []any{places, through, more}, c.name)
	}
	now := time.Now()
	w.Add(tenant,
		trailtest.Event{At: now, Action: "a.b_c", User: user},
		trailtest.Event{At: now.Add(-40 * 24 * time.Hour), Action: "a.bxc", Outcome: "denied"}, // of another partition
		trailtest.Event{At: now, Action: "a.b_d"},
		trailtest.Event{At: now, Action: "z"},
	)
	w.Add(w.Tenant(), trailtest.Event{At: now, Action: "z"})
	for _, c := range []struct {
		name    string
		request contract.FollowAuditRequest
		places  []int64
		through int64
		more    bool
	}{
		{"from now on", contract.FollowAuditRequest{}, nil, 4, false},
		{"all", contract.FollowAuditRequest{After: at(0)}, []int64{1, 2, 3, 4}, 4, false},
		{"a page", contract.FollowAuditRequest{After: at(1), Limit: 2}, []int64{2, 3}, 3, true},
		{"the last page", contract.FollowAuditRequest{After: at(2), Limit: 2}, []int64{3, 4}, 4, false},
		{"a pattern, in which _ is itself", contract.FollowAuditRequest{After: at(0), Action: "a.b_*"}, []int64{1, 3}, 4, false},
		{"an outcome", contract.FollowAuditRequest{After: at(0), Outcome: "denied"}, []int64{2}, 4, false},
		{"a person", contract.FollowAuditRequest{After: at(0), UserID: contract.ID(strings.ToUpper(user))}, []int64{1}, 4, false},
		{"nothing that is asked for", contract.FollowAuditRequest{After: at(0), Action: "q"}, nil, 4, false},
		{"the end", contract.FollowAuditRequest{After: at(4)}, nil, 4, false},
	} {
		places, through, more := follow(c.request)
		require.Equal(t, []any{c.places, c.through, c.more}, []any{places, through, more}, c.name)
	}
	_, err := f.Follow(trailtest.Bounded(t), tenant, &contract.FollowAuditRequest{After: at(5)})
	require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument}, "behind the end there is nothing to go on from")
}
