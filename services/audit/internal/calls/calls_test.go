package calls

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/kittest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type world struct {
	*Calls
	t      testing.TB
	denied map[string]events.Denial
}

func newWorld(t testing.TB) *world {
	t.Helper()
	url := kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) })
	d, err := database.Open(t.Context(), url, "audit", 4)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	w := &world{t: t, denied: map[string]events.Denial{}}
	w.Calls, err = New(d, slog.New(slog.DiscardHandler), func(_ context.Context, tenant, id string, denial events.Denial) error {
		w.denied[tenant+id] = denial
		return nil
	})
	require.NoError(t, err)
	return w
}

// group makes one of n calls, a second apart from at on.
func group(t testing.TB, tenant string, at time.Time, n int, with func(i int, r *contract.CallRecord)) events.CallGroup {
	t.Helper()
	g := events.CallGroup{TenantID: tenant, Count: n, First: at, Last: at.Add(time.Duration(n-1) * time.Second), Operations: []string{"rbac.check"}}
	var lines bytes.Buffer
	for i := range n {
		r := contract.CallRecord{Time: at.Add(time.Duration(i) * time.Second), Operation: "rbac.check", Code: "ok", Caller: "service", RequestID: fmt.Sprintf("request-%d", i)}
		if with != nil {
			with(i, &r)
		}
		line, err := json.Marshal(r)
		require.NoError(t, err)
		lines.Write(append(line, '\n'))
	}
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	g.Records = encoder.EncodeAll(lines.Bytes(), nil)
	return g
}

func (w *world) take(groups ...events.CallGroup) events.Event {
	w.t.Helper()
	e, err := events.Make(events.CallsRecorded("rbac").Type(), "/core/rbac", events.AccessSubject("rbac"), nil, events.CallBatch{Groups: groups})
	require.NoError(w.t, err)
	require.NoError(w.t, w.Take(w.t.Context(), e))
	return e
}

// all reads page by page.
func (w *world) all(tenant string, r contract.ListCallsRequest) (items []contract.CallRecord) {
	w.t.Helper()
	for {
		page, err := w.List(w.t.Context(), tenant, &r)
		require.NoError(w.t, err)
		items = append(items, page.Items...)
		if page.NextCursor == "" {
			return items
		}
		r.Cursor = page.NextCursor
	}
}

func TestCallsAreReadNewestFirstInPagesOfAnySize(t *testing.T) {
	t.Parallel()
	w, tenant := newWorld(t), uuid.NewString()
	for i := range 60 { // more groups than are read at once
		w.take(group(t, tenant, began.Add(time.Duration(i)*time.Minute), 1+i%5, nil), group(t, uuid.NewString(), began, 3, nil))
	}
	for _, limit := range []int{1, 7, 50, 500} {
		got := w.all(tenant, contract.ListCallsRequest{Limit: limit})
		require.Len(t, got, 180)
		for i := 1; i < len(got); i++ {
			require.False(t, got[i].Time.After(got[i-1].Time))
		}
	}
}

func TestABatchThatComesAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w, tenant := newWorld(t), uuid.NewString()
	g := group(t, tenant, began, 2, nil)
	g.Denials = []events.Denial{{CallRecord: contract.CallRecord{Operation: "rbac.check"}, Count: 2}}
	e := w.take(g, g)
	require.NoError(t, w.Take(t.Context(), e))
	require.Len(t, w.all(tenant, contract.ListCallsRequest{}), 4)
	require.Len(t, w.denied, 2, "each under its own id, the second time the same")
}

func TestCallsAreFiltered(t *testing.T) {
	t.Parallel()
	w, tenant, user := newWorld(t), uuid.NewString(), uuid.NewString()
	w.take(group(t, tenant, began, 100, func(i int, r *contract.CallRecord) {
		switch i % 4 {
		case 1:
			r.Code, r.Module = "permission_denied", "crm"
		case 2:
			r.UserID = user
		case 3:
			r.SubjectID = user
		}
	}))
	w.take(group(t, "", began, 3, nil))
	from, until := began.Add(10*time.Second), began.Add(20*time.Second)
	for _, c := range []struct {
		r    contract.ListCallsRequest
		want int
	}{
		{contract.ListCallsRequest{}, 100},
		{contract.ListCallsRequest{Code: "permission_denied"}, 25},
		{contract.ListCallsRequest{Module: "crm", Limit: 2}, 25},
		{contract.ListCallsRequest{Module: "hr"}, 0},
		{contract.ListCallsRequest{UserID: contract.ID(user)}, 50},
		{contract.ListCallsRequest{Operation: "rbac.check", From: &from, Until: &until}, 10},
		{contract.ListCallsRequest{Operation: "auth.verify"}, 0},
		{contract.ListCallsRequest{From: &until, Until: &from}, 0},
	} {
		require.Len(t, w.all(tenant, c.r), c.want, "%+v", c.r)
	}
	require.Len(t, w.all("00000000-0000-0000-0000-000000000000", contract.ListCallsRequest{}), 3)
	for _, cursor := range []string{"x", "1.2.3", "1." + user + ".0.-1", "1.x.0.0"} {
		_, err := w.List(t.Context(), tenant, &contract.ListCallsRequest{Cursor: cursor})
		require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument}, cursor)
	}
}

// A filter that finds nothing ends a page in time, and the next one goes on.
func TestAPageLooksAtABoundedNumberOfCalls(t *testing.T) {
	t.Parallel()
	w, tenant := newWorld(t), uuid.NewString()
	for i := range groupsRead + 20 {
		w.take(group(t, tenant, began.Add(time.Duration(i)*time.Minute), 1, nil))
	}
	page, err := w.List(t.Context(), tenant, &contract.ListCallsRequest{Code: "internal"})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	require.NotEmpty(t, page.NextCursor)
	require.Empty(t, w.all(tenant, contract.ListCallsRequest{Code: "internal"}))
}

func TestOldCallsGo(t *testing.T) {
	t.Parallel()
	w, tenant, other := newWorld(t), uuid.NewString(), uuid.NewString()
	w.take(group(t, tenant, began, 3, nil), group(t, other, began, 1, nil))
	w.take(group(t, tenant, began.AddDate(0, 1, 0), 2, nil))
	groups, err := w.Expire(t.Context(), began.AddDate(0, 0, 7))
	require.NoError(t, err)
	require.EqualValues(t, 2, groups)
	require.Len(t, w.all(tenant, contract.ListCallsRequest{}), 2)
	require.NoError(t, w.Erase(t.Context(), tenant))
	require.Empty(t, w.all(tenant, contract.ListCallsRequest{}))
}

func TestWhatIsNoBatchIsTakenOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, err := events.Make(events.CallsRecorded("rbac").Type(), "/core/rbac", events.AccessSubject("rbac"), nil,
		events.CallBatch{Groups: []events.CallGroup{{TenantID: "no id"}}})
	require.NoError(t, err)
	require.ErrorIs(t, w.Take(t.Context(), e), events.ErrMalformed)
	e.SetID("no id")
	require.ErrorIs(t, w.Take(t.Context(), e), events.ErrMalformed)
}
