package alerts

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/services/audit/internal/trailtest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type world struct {
	*trailtest.World
	*Alerts
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{World: trailtest.New(t)}
	w.Alerts = &Alerts{DB: w.World.DB, Directory: w.World.Directory, Committed: func() {}}
	return w
}

// replica is an Evaluator of a process of its own.
func (w *world) replica() *Evaluator {
	return NewEvaluator(w.World.Open(), func() {}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

func (w *world) alert(tenant string, rule contract.AlertRule) *contract.AuditAlert {
	w.T.Helper()
	alert, err := w.Create(trailtest.As(w.T, tenant), &contract.CreateAlertRequest{Name: uuid.NewString(), Rule: rule})
	require.NoError(w.T, err)
	return alert
}

// failures are n failed logins, a second apart from at on.
func failures(at time.Time, n int, user string) (all []trailtest.Event) {
	for i := range n {
		all = append(all, trailtest.Event{At: at.Add(time.Duration(i) * time.Second), Action: "auth.login.failed", Outcome: "failure", User: user, Address: "192.0.2.1"})
	}
	return all
}

// raised are the alerts that were raised since it was asked the last time.
func (w *world) raised() (all []events.AlertRaising) {
	w.T.Helper()
	for _, e := range w.Told(events.AlertRaised) {
		data, err := events.Data[events.AlertRaising](e)
		require.NoError(w.T, err)
		all = append(all, data)
	}
	return all
}

func TestAnAlertIsRaisedOnceForWhatItsRuleSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, other := w.Tenant(), w.Tenant()
	w.Add(tenant, failures(began, 10, "")...) // before there is an alert
	alert := w.alert(tenant, contract.AlertRule{Actions: []string{"auth.login.*"}, Outcome: "failure", Count: 3, WindowSeconds: 60, CoolDownSeconds: 60})
	e := w.replica()
	require.NoError(t, e.Round(t.Context()))
	require.Empty(t, w.raised())

	w.Add(other, failures(began, 10, "")...)
	w.Add(tenant, failures(began.Add(time.Hour), 5, "")...)
	require.NoError(t, e.Round(t.Context()))
	first := began.Add(time.Hour)
	require.Equal(t, []events.AlertRaising{{
		ID: alert.ID, TenantID: tenant, Name: alert.Name, Count: 3, Sequence: 13, First: first, Last: first.Add(2 * time.Second),
	}}, w.raised())
	require.NoError(t, e.Round(t.Context()))
	require.NoError(t, w.replica().Round(t.Context()), "a new process")
	require.Empty(t, w.raised())
}

func TestWhatIsCountedOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, user := w.Tenant(), uuid.NewString()
	w.alert(tenant, contract.AlertRule{Outcome: "failure", Count: 3, WindowSeconds: 60, Per: "actor"})
	for i, want := range []int{0, 0, 1} {
		w.Add(tenant, failures(began.Add(time.Duration(i)*time.Second), 1, user)...)
		w.Add(tenant, failures(began, 1, uuid.NewString())...)
		require.NoError(t, w.replica().Round(t.Context()))
		raised := w.raised()
		require.Len(t, raised, want)
		for _, r := range raised {
			require.Equal(t, user, r.Actor)
		}
	}
}

// What cannot be committed raises nothing, and is raised when it can.
func TestAnAlertIsNeitherLostNorRaisedTwiceByAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := w.Tenant()
	w.alert(tenant, contract.AlertRule{Count: 2, WindowSeconds: 60})
	w.Add(tenant, failures(began, 2, "")...)
	super, err := pgx.Connect(trailtest.Bounded(t), w.URL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = super.Close(trailtest.Bounded(t)) })
	exec := func(sql string) {
		_, err := super.Exec(trailtest.Bounded(t), sql)
		require.NoError(t, err)
	}
	// The failure comes after the event is in the outbox: when the place advances.
	exec(`CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'killed'; END $$;
		CREATE TRIGGER fail BEFORE UPDATE ON audit.alert_cursors FOR EACH ROW EXECUTE FUNCTION public.fail()`)
	e := w.replica()
	for range 3 {
		require.ErrorContains(t, e.Round(t.Context()), "killed")
	}
	require.Empty(t, w.raised())
	exec("DROP TRIGGER fail ON audit.alert_cursors")
	require.NoError(t, e.Round(t.Context()))
	require.Len(t, w.raised(), 1)
}

func TestReplicasShareTheWorkAndRaiseEachAlertOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var tenants []string
	const users = 40
	for range 3 {
		tenant := w.Tenant()
		tenants = append(tenants, tenant)
		w.alert(tenant, contract.AlertRule{Outcome: "failure", Count: 5, Per: "actor", CoolDownSeconds: 3600})
	}
	var all sync.WaitGroup
	errs := make(chan error, 100)
	for range 3 {
		e := w.replica()
		all.Go(func() {
			for range 20 {
				errs <- e.Round(t.Context())
			}
		})
	}
	for _, tenant := range tenants {
		for range users {
			w.Add(tenant, failures(began, 7, uuid.NewString())...)
		}
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, w.replica().Round(t.Context()))
	raised, actors := w.raised(), map[string]bool{}
	for _, r := range raised {
		actors[r.TenantID+r.Actor] = true
	}
	require.Len(t, raised, len(tenants)*users)
	require.Len(t, actors, len(tenants)*users)
}

func TestAnAlertThatIsChangedCountsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := w.Tenant()
	alert, e := w.alert(tenant, contract.AlertRule{Count: 3}), w.replica()
	add := func(n int) {
		w.Add(tenant, failures(began, n, "")...)
		require.NoError(t, e.Round(t.Context()))
	}
	update := func(r contract.UpdateAlertRequest) {
		r.AlertID = contract.ID(alert.ID)
		_, err := w.Update(trailtest.As(t, tenant), &r)
		require.NoError(t, err)
	}
	no, yes := false, true
	add(2)
	update(contract.UpdateAlertRequest{Rule: &contract.AlertRule{Count: 2}})
	add(1)
	require.Empty(t, w.raised())
	update(contract.UpdateAlertRequest{Enabled: &no})
	add(5)
	require.Empty(t, w.raised(), "disabled")
	require.Zero(t, w.Count("SELECT count(*) FROM alert_cursors"), "a tenant without alerts costs nothing")
	add(5)
	update(contract.UpdateAlertRequest{Enabled: &yes})
	add(1)
	require.Empty(t, w.raised(), "what it did not see while disabled")
	add(1)
	require.Len(t, w.raised(), 1)
	_, err := w.Delete(trailtest.As(t, tenant), &contract.DeleteAlertRequest{AlertID: contract.ID(alert.ID)})
	require.NoError(t, err)
	add(9)
	require.Empty(t, w.raised())
	require.Zero(t, w.Count("SELECT count(*) FROM alert_counts"))
	changes := []string{}
	for _, told := range w.Told(events.AlertChanged) {
		data, err := events.Data[events.AlertChange](told)
		require.NoError(t, err)
		changes = append(changes, data.Change+fmt.Sprint(data.Fields))
	}
	require.Equal(t, []string{"created[]", "updated[rule]", "updated[enabled]", "updated[enabled]", "deleted[]"}, changes)
}

func TestTryingARuleSaysHowOftenItWouldHaveBeenRaised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := w.Tenant()
	for i := range 4 { // an hour apart
		w.Add(tenant, failures(began.Add(time.Duration(i)*time.Hour), 10, "")...)
	}
	w.Add(tenant, trailtest.Event{At: began, Action: "other"})
	rule := contract.AlertRule{Actions: []string{"auth.*"}, Count: 5, WindowSeconds: 60, CoolDownSeconds: 600, Per: "address"}
	tried, err := w.Test(trailtest.As(t, tenant), &contract.TestAlertRequest{Rule: rule})
	require.NoError(t, err)
	require.Equal(t, []int{41, 40, 4}, []int{tried.Events, tried.Matched, tried.Raised})
	require.Equal(t, contract.AlertRaising{Sequence: 5, First: began, Last: began.Add(4 * time.Second), Address: "192.0.2.1"}, tried.Items[0])
	tried, err = w.Test(trailtest.As(t, tenant), &contract.TestAlertRequest{Rule: rule, Events: 11})
	require.NoError(t, err)
	require.Equal(t, []int{11, 10, 1}, []int{tried.Events, tried.Matched, tried.Raised})
	require.Empty(t, w.raised())
}

func TestAlertsAreTheirTenantsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs := w.Tenant(), w.Tenant()
	alert := w.alert(ours, contract.AlertRule{})
	id, name := contract.ID(alert.ID), "x"
	them, us := trailtest.As(t, theirs), trailtest.As(t, ours)
	for what, err := range map[string]error{
		"get":    second(w.Get(them, &contract.AlertRequest{AlertID: id})),
		"update": second(w.Update(them, &contract.UpdateAlertRequest{AlertID: id, Name: &name})),
		"delete": second(w.Delete(them, &contract.DeleteAlertRequest{AlertID: id})),
		"list":   second(w.List(them, &contract.ListAlertsRequest{TenantID: contract.ID(ours)})),
	} {
		requireCode(t, contract.NotFound, err, what)
	}
	requireCode(t, contract.AlreadyExists, second(w.Create(us, &contract.CreateAlertRequest{Name: alert.Name})), "the name is taken")
	requireCode(t, contract.InvalidArgument, second(w.Create(us, &contract.CreateAlertRequest{Name: " "})), "no name")
	requireCode(t, contract.Conflict, second(w.Update(us, &contract.UpdateAlertRequest{AlertID: id, Name: &name, Revision: 9})), "another revision")
	for range maxAlerts - 1 {
		w.alert(ours, contract.AlertRule{})
	}
	requireCode(t, contract.Conflict, second(w.Create(us, &contract.CreateAlertRequest{Name: "one more"})), "too many")
	page, err := w.List(us, &contract.ListAlertsRequest{Limit: 30})
	require.NoError(t, err)
	rest, err := w.List(us, &contract.ListAlertsRequest{Limit: 30, Cursor: page.NextCursor})
	require.NoError(t, err)
	require.Equal(t, []int{30, 20}, []int{len(page.Items), len(rest.Items)})
	require.Empty(t, rest.NextCursor)
}

func second[T any](_ T, err error) error { return err }

func requireCode(t *testing.T, code contract.Code, err error, what string) {
	t.Helper()
	var refused *contract.Error
	require.True(t, errors.As(err, &refused), "%s: %v", what, err)
	require.Equal(t, code, refused.Code, what)
}
