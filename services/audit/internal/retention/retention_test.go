package retention

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/holds"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
	"github.com/buildify/core/services/audit/internal/trailtest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

// now is when the tests take place.
var now = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

type world struct {
	*trailtest.World
	*Retention
	*holds.Holds
}

func newWorld(t testing.TB, keepDays int) *world {
	t.Helper()
	w := &world{World: trailtest.New(t)}
	w.Retention = New(Config{
		DB: w.World.DB, Directory: w.World.Directory, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		KeepDays: keepDays, Committed: func() {}, Now: func() time.Time { return now },
	})
	w.Holds = &holds.Holds{DB: w.World.DB, Directory: w.World.Directory, Committed: func() {}, Released: func() {}}
	require.NoError(t, w.World.DB.In(trailtest.Bounded(t), database.Everything, func(tx pgx.Tx) error {
		for _, m := range months {
			if err := db.New(tx).EnsureMonth(trailtest.Bounded(t), m+"-01"); err != nil {
				return err
			}
		}
		return nil
	}))
	return w
}

var months = []string{"2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06"}

// fill adds n events in the middle of each month.
func (w *world) fill(tenant string, n int, change ...func(*trailtest.Event)) {
	w.T.Helper()
	for _, m := range months {
		w.in(m, tenant, n, change...)
	}
}

func (w *world) in(m, tenant string, n int, change ...func(*trailtest.Event)) {
	w.T.Helper()
	at, err := time.Parse("2006-01", m)
	require.NoError(w.T, err)
	var all []trailtest.Event
	for i := range n {
		e := trailtest.Event{At: at.AddDate(0, 0, 14).Add(time.Duration(i) * time.Second), Action: "invoice.created"}
		for _, f := range change {
			f(&e)
		}
		all = append(all, e)
	}
	w.Add(tenant, all...)
}

func (w *world) keep(tenant string, days int) {
	w.T.Helper()
	_, err := w.Set(trailtest.AsPlatform(w.T), &contract.SetRetentionRequest{TenantID: contract.ID(tenant), KeepDays: &days, Reason: "test"})
	require.NoError(w.T, err)
}

func (w *world) apply(dry bool) *contract.RetentionReport {
	w.T.Helper()
	report, err := w.Apply(trailtest.AsPlatform(w.T), &contract.ApplyRetentionRequest{DryRun: dry})
	require.NoError(w.T, err)
	require.True(w.T, report.Complete)
	return report
}

func (w *world) hold(r contract.PlaceHoldRequest) *contract.LegalHold {
	w.T.Helper()
	r.Reason = "a matter"
	hold, err := w.Place(trailtest.AsPlatform(w.T), &r)
	require.NoError(w.T, err)
	return hold
}

func (w *world) left(tenant string) int {
	return w.Count("SELECT count(*) FROM events WHERE tenant_id = $1", tenant)
}

func (w *world) partitions() int {
	return w.Count("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
}

func (w *world) places(tenant string) (all []int64) {
	w.T.Helper()
	ctx := trailtest.Bounded(w.T)
	require.NoError(w.T, w.World.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT tenant_seq FROM events ORDER BY 1")
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	}))
	return all
}

func TestNothingIsRemovedWithoutARule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	tenant := w.Tenant()
	w.fill(tenant, 3)
	require.Empty(t, w.apply(true).Months)
	require.Empty(t, w.apply(false).Months)
	require.Equal(t, 18, w.left(tenant))
	require.Empty(t, w.Told(events.RetentionApplied))
}

func TestAMonthGoesAsAWholeOnceEverybodysTimeIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60) // until the middle of April: March goes, April stays
	one, other := w.Tenant(), w.Tenant()
	w.fill(one, 3)
	w.fill(other, 2)
	before := w.partitions()
	dry := w.apply(true)
	want := []contract.RetentionMonth{{Month: "2026-01", Events: 5}, {Month: "2026-02", Events: 5}, {Month: "2026-03", Events: 5}}
	require.Equal(t, want, dry.Months)
	require.Empty(t, dry.Tenants)
	require.True(t, dry.DryRun)
	require.Equal(t, 18, w.left(one), "a dry run removes nothing")

	require.Equal(t, want, w.apply(false).Months)
	require.Equal(t, []int{9, 6, before - 3}, []int{w.left(one), w.left(other), w.partitions()})
	told := w.Told(events.RetentionApplied)
	require.Len(t, told, 1)
	data, err := events.Data[events.RetentionRun](told[0])
	require.NoError(t, err)
	require.Equal(t, events.RetentionRun{Months: []string{"2026-01", "2026-02", "2026-03"}, Events: 15}, data)
	again := w.apply(false)
	require.Empty(t, again.Months)
	require.Empty(t, again.Tenants)
	require.Empty(t, w.Told(events.RetentionApplied), "nothing removed, nothing told")
}

func TestTenantsWithLessTimeLoseTheirEventsOneByOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	short, forever, longer := w.Tenant(), w.Tenant(), w.Tenant()
	for _, tenant := range []string{short, forever, longer} {
		w.fill(tenant, 3)
	}
	w.in("2025-11", short, 2) // of no month's partition
	w.keep(short, 60)
	w.keep(longer, 120) // January goes
	want := []contract.RetentionTenant{{TenantID: short, Events: 11}, {TenantID: longer, Events: 3}}
	dry := w.apply(true)
	require.Empty(t, dry.Months)
	require.ElementsMatch(t, want, dry.Tenants)
	require.ElementsMatch(t, want, w.apply(false).Tenants)
	require.Equal(t, []int{9, 18, 15}, []int{w.left(short), w.left(forever), w.left(longer)})
	require.Equal(t, []int64{10, 11, 12, 13, 14, 15, 16, 17, 18}, w.places(short))

	rule, err := w.Get(trailtest.Bounded(t), short)
	require.NoError(t, err)
	require.Equal(t, []any{60, true, "test", int64(1)}, []any{rule.KeepDays, rule.Own, rule.Reason, rule.Revision})
	_, err = w.Set(trailtest.AsPlatform(t), &contract.SetRetentionRequest{TenantID: contract.ID(short), Reason: "as all", Revision: 1})
	require.NoError(t, err)
	rule, err = w.Get(trailtest.Bounded(t), short)
	require.NoError(t, err)
	require.Equal(t, []any{0, false, int64(2)}, []any{rule.KeepDays, rule.Own, rule.Revision})
	_, err = w.Set(trailtest.AsPlatform(t), &contract.SetRetentionRequest{TenantID: contract.ID(short), Reason: "late", Revision: 1})
	requireCode(t, contract.Conflict, err)
	_, err = w.Get(trailtest.Bounded(t), uuid.NewString())
	requireCode(t, contract.NotFound, err)
}

func TestAHoldKeepsATrailFromRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	held, other := w.Tenant(), w.Tenant()
	w.fill(held, 3)
	w.fill(other, 3)
	hold := w.hold(contract.PlaceHoldRequest{TenantID: contract.ID(held)})
	dry := w.apply(true)
	require.Empty(t, dry.Months)
	require.ElementsMatch(t, []contract.RetentionTenant{{TenantID: held, Held: 9}, {TenantID: other, Events: 9}}, dry.Tenants)
	w.apply(false)
	require.Equal(t, []int{18, 9}, []int{w.left(held), w.left(other)})

	_, err := w.Release(trailtest.AsPlatform(t), &contract.ReleaseHoldRequest{HoldID: contract.ID(hold.ID), Reason: "settled"})
	require.NoError(t, err)
	require.Len(t, w.apply(false).Months, 3)
	require.Equal(t, 9, w.left(held))
	_, err = w.Release(trailtest.AsPlatform(t), &contract.ReleaseHoldRequest{HoldID: contract.ID(hold.ID), Reason: "again"})
	requireCode(t, contract.Conflict, err)
	var changes []string
	for _, e := range w.Told(events.HoldChanged) {
		data, err := events.Data[events.HoldChange](e)
		require.NoError(t, err)
		changes = append(changes, data.Change+" "+data.Reason)
	}
	require.Equal(t, []string{"placed a matter", "released settled"}, changes)
}

func TestAHoldOfAPersonOrResourceKeepsWhatConcernsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	tenant, person := w.Tenant(), uuid.NewString()
	w.in("2026-01", tenant, 2, func(e *trailtest.Event) { e.User = person })                     // 1, 2
	w.in("2026-01", tenant, 1, func(e *trailtest.Event) { e.Type, e.Resource = "user", person }) // 3
	w.in("2026-02", tenant, 1, func(e *trailtest.Event) { e.Resource = "R-1" })                  // 4
	w.in("2026-02", tenant, 1, func(e *trailtest.Event) { e.Resource = "R-2" })                  // 5
	w.in("2026-03", tenant, 1, func(e *trailtest.Event) { e.User = uuid.NewString() })           // 6
	w.hold(contract.PlaceHoldRequest{TenantID: contract.ID(tenant), UserID: contract.ID(person)})
	w.hold(contract.PlaceHoldRequest{TenantID: contract.ID(tenant), ResourceType: "invoice", ResourceID: "R-1"})
	dry := w.apply(true)
	require.Equal(t, []contract.RetentionMonth{{Month: "2026-03", Events: 1}}, dry.Months)
	require.Equal(t, []contract.RetentionTenant{{TenantID: tenant, Events: 1, Held: 4}}, dry.Tenants)
	w.apply(false)
	require.Equal(t, []int64{1, 2, 3, 4}, w.places(tenant))
	for _, r := range []contract.PlaceHoldRequest{
		{TenantID: contract.ID(tenant), UserID: contract.ID(person), ResourceType: "invoice"}, {TenantID: contract.ID(tenant), ResourceID: "R-1"},
	} {
		_, err := w.Place(trailtest.AsPlatform(t), &r)
		requireCode(t, contract.InvalidArgument, err)
	}
	page, err := w.List(trailtest.AsPlatform(t), &contract.ListHoldsRequest{Of: contract.ID(tenant), Limit: 1})
	require.NoError(t, err)
	require.Equal(t, person, page.Items[0].UserID)
	page, err = w.List(trailtest.AsPlatform(t), &contract.ListHoldsRequest{Of: contract.ID(tenant), Limit: 1, Cursor: page.NextCursor})
	require.NoError(t, err)
	require.Equal(t, "R-1", page.Items[0].ResourceID)
	require.Empty(t, page.NextCursor)
}

func TestAHoldKeepsAPersonFromBeingShredded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	tenant, person := w.Tenant(), uuid.NewString()
	refused := func(who string) error {
		return w.World.DB.In(trailtest.Bounded(t), database.Everything, func(tx pgx.Tx) error {
			return holds.Refuse(trailtest.Bounded(t), db.New(tx), tenant, who)
		})
	}
	require.NoError(t, refused(person))
	hold := w.hold(contract.PlaceHoldRequest{TenantID: contract.ID(tenant), UserID: contract.ID(person)})
	requireCode(t, contract.Conflict, refused(person))
	require.NoError(t, refused(uuid.NewString()))
	_, err := w.Release(trailtest.AsPlatform(t), &contract.ReleaseHoldRequest{HoldID: contract.ID(hold.ID), Reason: "x"})
	require.NoError(t, err)
	require.NoError(t, refused(person))
	w.hold(contract.PlaceHoldRequest{TenantID: contract.ID(tenant), ResourceType: "invoice"})
	requireCode(t, contract.Conflict, refused(person))
}

// Whatever goes, the leaves that the tree still needs are there: those of the tile
// that is not full.
func TestTheLeavesOfATileThatIsNotFullAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	whole, single := w.Tenant(), w.Tenant()
	w.in("2026-01", whole, 300)
	w.in("2026-01", single, 300)
	w.in("2026-02", single, 7, func(e *trailtest.Event) { e.User = record.PlatformTenant })
	w.hold(contract.PlaceHoldRequest{TenantID: contract.ID(single), UserID: record.PlatformTenant})
	leaves := func(tenant string) (all []trail.Hash) {
		ctx := trailtest.Bounded(t)
		require.NoError(t, w.World.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
			rows, err := db.New(tx).Leaves(ctx, db.LeavesParams{TenantID: tenant, First: 257, Last: 1000})
			for _, leaf := range rows {
				all = append(all, trail.Hash(leaf))
			}
			return err
		}))
		return all
	}
	before := [][]trail.Hash{leaves(whole), leaves(single)}
	require.Equal(t, []int{44, 51}, []int{len(before[0]), len(before[1])})
	w.apply(false)
	require.Equal(t, []int{0, 7}, []int{w.left(whole), w.left(single)})
	require.Equal(t, before, [][]trail.Hash{leaves(whole), leaves(single)})
	require.Equal(t, 88, w.Count("SELECT count(*) FROM kept_leaves"))
	w.in("2026-06", single, 256-51) // full now
	w.apply(false)
	require.Equal(t, 44, w.Count("SELECT count(*) FROM kept_leaves"), "what a full tile has is not kept twice")
}

func requireCode(t *testing.T, code contract.Code, err error) {
	t.Helper()
	var refused *contract.Error
	require.True(t, errors.As(err, &refused), "%v", err)
	require.Equal(t, code, refused.Code)
}
