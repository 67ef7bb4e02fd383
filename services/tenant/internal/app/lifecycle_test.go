package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// world is the operations on a database of their own; its other services are
// the tests.
type world struct {
	*App
	t testing.TB
}

func newWorld(t testing.TB) *world {
	a, _ := newApp(t)
	return &world{a, t}
}

// toldOf are the data of the events of a kind that wait, or were told.
func toldOf[T any](w *world, kind events.Kind) (all []T) {
	w.t.Helper()
	rows, err := w.Store.DB.Query(bounded(w.t), "SELECT event FROM outbox ORDER BY id")
	require.NoError(w.t, err)
	raw, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(w.t, err)
	for _, data := range raw {
		var e events.Event
		require.NoError(w.t, e.UnmarshalJSON(data))
		if kind.Is(e) {
			var one T
			require.NoError(w.t, json.Unmarshal(e.Data(), &one))
			all = append(all, one)
		}
	}
	return all
}

// confirm is what another service tells.
func (w *world) confirm(kind events.Kind, data any) {
	w.t.Helper()
	e, err := events.New(kind, "", 1, data)
	require.NoError(w.t, err)
	require.NoError(w.t, w.Confirmed(bounded(w.t), e))
	for _, state := range toldOf[contract.Tenant](w, events.TenantChanged) {
		w.Directory.PutTenant(state)
	}
}

func (w *world) read(id string) *contract.TenantDetail {
	w.t.Helper()
	detail, err := w.Read(bounded(w.t), &contract.TenantRequest{TenantID: contract.ID(id)})
	require.NoError(w.t, err)
	return detail
}

func (w *world) refuses(err error, code contract.Code, field string) {
	w.t.Helper()
	var refused *contract.Error
	require.ErrorAs(w.t, err, &refused)
	require.Equal(w.t, []any{code, field}, []any{refused.Code, refused.Field}, refused.Message)
}

// begin creates a tenant with an administrator, and returns what is asked of
// auth and what will be answered.
func (w *world) begin(code string) (events.TenantProvision, chan *contract.Tenant, chan error) {
	w.t.Helper()
	made, failed := make(chan *contract.Tenant, 1), make(chan error, 1)
	before := len(toldOf[events.TenantProvision](w, events.TenantProvisioning))
	go func() {
		tenant, err := w.Create(bounded(w.t), &contract.CreateTenantRequest{
			Code: code, Name: "Acme", Administrator: &contract.TenantAdministrator{Email: "root@acme.example"},
		})
		made <- tenant
		failed <- err
	}()
	var asked []events.TenantProvision
	require.Eventually(w.t, func() bool {
		asked = toldOf[events.TenantProvision](w, events.TenantProvisioning)
		return len(asked) > before
	}, 10*time.Second, 5*time.Millisecond)
	return asked[before], made, failed
}

func TestATenantIsActiveOnceItsAdministratorIsBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, made, failed := w.begin("ACME")
	require.Equal(t, "root@acme.example", asked.Administrator.Email)
	id := asked.TenantID
	detail := w.read(id)
	require.Equal(t, contract.TenantProvisioning, detail.State)
	require.False(t, detail.IsActive)
	require.Equal(t, []any{"administrator", []string{"auth"}}, []any{detail.Progress.Step, detail.Progress.Waiting})

	ready := events.TenantProvision{TenantID: id, UserID: asked.UserID, Revision: 5}
	for range 2 {
		w.confirm(events.AdministratorReady, ready)
	}
	detail = w.read(id)
	require.Equal(t, []any{"binding", []string{"rbac"}}, []any{detail.Progress.Step, detail.Progress.Waiting})
	require.Equal(t, contract.TenantProvisioning, detail.State)
	for range 2 {
		w.confirm(events.AdministratorBound, ready)
	}
	tenant := <-made
	require.NoError(t, <-failed)
	require.True(t, tenant.IsActive)
	require.Equal(t, contract.TenantActive, tenant.State)
	detail = w.read(id)
	require.Nil(t, detail.Progress)
	require.Equal(t, tenant.Revision, detail.Revision, "what comes again changes nothing")
	// Nor does what comes late.
	w.confirm(events.AdministratorReady, ready)
	w.confirm(events.AdministratorRefused, events.AdministratorRefusal{TenantID: id, Code: contract.Conflict, Reason: "late"})
	w.confirm(events.TenantErased("rbac"), events.TenantErasure{TenantID: id})
	require.Equal(t, detail, w.read(id))
}

func TestATenantWhoseAdministratorIsRefusedIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, made, failed := w.begin("ACME")
	w.confirm(events.AdministratorRefused, events.AdministratorRefusal{
		TenantID: asked.TenantID, Code: contract.Conflict, Field: "administrator.email", Reason: "the address is taken",
	})
	require.Nil(t, <-made)
	w.refuses(<-failed, contract.Conflict, "administrator.email")
	detail := w.read(asked.TenantID)
	require.Equal(t, []any{contract.TenantErased, "the address is taken"}, []any{detail.State, detail.Reason})
	require.Equal(t, []any{"erasing", []string{"audit", "auth", "rbac"}}, []any{detail.Progress.Step, detail.Progress.Waiting})
	_, err := w.Create(bounded(t), &contract.CreateTenantRequest{Code: "ACME", Name: "Again"})
	require.NoError(t, err, "its code is free at once")
	w.confirm(events.AdministratorBound, events.TenantProvision{TenantID: asked.TenantID}) // late
	for _, service := range erasers {
		w.confirm(events.TenantErased(service), events.TenantErasure{TenantID: asked.TenantID})
	}
	detail = w.read(asked.TenantID)
	require.Equal(t, []any{contract.TenantErased, "the address is taken", "", ""}, []any{detail.State, detail.Reason, detail.Code, detail.Name})
	require.Nil(t, detail.Progress)
}

func TestATenantThatIsBeingMadeMayBeGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, made, failed := w.begin("ACME")
	removal, err := w.Delete(bounded(t), &contract.DeleteTenantRequest{TenantID: contract.ID(asked.TenantID)})
	require.NoError(t, err)
	require.Equal(t, contract.TenantErased, removal.State)
	require.Nil(t, <-made)
	w.refuses(<-failed, contract.Conflict, "")
	require.Len(t, toldOf[events.TenantErasure](w, events.TenantErasing), 1)
}

func TestWhatATenantMayGoTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := newTenant(t, w.App)
	reason := &contract.TenantReasonRequest{TenantID: id, Reason: "unpaid"}
	steps := []struct {
		do    func() (*contract.Tenant, error)
		state string // empty: refused
	}{
		{func() (*contract.Tenant, error) { return w.Restore(bounded(t), reason) }, ""},
		{func() (*contract.Tenant, error) { return w.Resume(bounded(t), reason) }, contract.TenantActive},
		{func() (*contract.Tenant, error) { return w.Suspend(bounded(t), reason) }, contract.TenantSuspended},
		{func() (*contract.Tenant, error) { return w.Suspend(bounded(t), reason) }, contract.TenantSuspended},
		{func() (*contract.Tenant, error) { return w.deleteIn(id, 7) }, contract.TenantDeleting},
		{func() (*contract.Tenant, error) { return w.deleteIn(id, 7) }, ""},
		{func() (*contract.Tenant, error) { return w.Resume(bounded(t), reason) }, ""},
		{func() (*contract.Tenant, error) { return w.Suspend(bounded(t), reason) }, ""},
		{func() (*contract.Tenant, error) { return w.Restore(bounded(t), reason) }, contract.TenantSuspended},
		{func() (*contract.Tenant, error) { return w.Resume(bounded(t), reason) }, contract.TenantActive},
		{func() (*contract.Tenant, error) { return w.deleteIn(id, 0) }, contract.TenantDeleting},
		{func() (*contract.Tenant, error) { return w.Restore(bounded(t), reason) }, contract.TenantActive},
	}
	var want []string
	for i, step := range steps {
		before := w.read(string(id))
		tenant, err := step.do()
		if step.state == "" {
			w.refuses(err, contract.Conflict, "")
			require.Equal(t, before, w.read(string(id)), "step %d", i)
			continue
		}
		require.NoError(t, err, "step %d", i)
		require.Equal(t, step.state, tenant.State, "step %d", i)
		require.Equal(t, step.state == contract.TenantActive, tenant.IsActive)
		require.Equal(t, tenant.IsActive, w.active(id), "step %d: decided by at once", i)
		if tenant.State != before.State {
			want = append(want, tenant.State)
		}
	}
	var states []string
	for _, tenant := range toldOf[contract.Tenant](w, events.TenantChanged) {
		if tenant.ID == string(id) {
			states = append(states, tenant.State)
		}
	}
	require.Equal(t, append([]string{contract.TenantActive}, want...), states, "each change is told once")
	changes := toldOf[events.TenantChange](w, events.TenantAdministered)
	require.Contains(t, changes, events.TenantChange{TenantID: string(id), Change: "suspended", Reason: "unpaid"})
}

func (w *world) active(id contract.ID) bool {
	tenant, _ := w.Directory.Tenant(string(id))
	return tenant.IsActive
}

func (w *world) deleteIn(id contract.ID, days int) (*contract.Tenant, error) {
	w.t.Helper()
	removal, err := w.Delete(bounded(w.t), &contract.DeleteTenantRequest{TenantID: id, GraceDays: &days})
	if err != nil {
		return nil, err
	}
	require.WithinDuration(w.t, time.Now().AddDate(0, 0, days), removal.DeleteAt, time.Minute)
	tenant, _ := w.Directory.Tenant(string(id))
	require.Equal(w.t, tenant.Revision, removal.Revision)
	require.WithinDuration(w.t, removal.DeleteAt, *tenant.DeleteAt, 0)
	return &tenant, nil
}

func TestADryRunNamesWhatGoesAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := newTenant(t, w.App)
	other := kit.NewID()
	for i, m := range []contract.Member{
		{UserID: "a", TenantID: string(id), Active: true}, {UserID: "b", TenantID: string(id)},
		{UserID: "c", TenantID: string(id), Deleted: true}, {UserID: "d", TenantID: other, Tenants: []string{string(id)}, Active: true},
		{UserID: "e", TenantID: other, Active: true},
	} {
		m.Revision = int64(i + 1)
		w.Directory.PutMember(m)
	}
	before := w.read(string(id))
	require.Equal(t, 3, before.Usage.Users)
	removal, err := w.Delete(bounded(t), &contract.DeleteTenantRequest{TenantID: id, DryRun: true})
	require.NoError(t, err)
	require.True(t, removal.DryRun)
	require.Equal(t, []int{2, 1}, []int{removal.Users, removal.Members})
	require.WithinDuration(t, time.Now().AddDate(0, 0, 30), removal.DeleteAt, time.Minute)
	require.NotEmpty(t, removal.Also)
	require.Equal(t, before, w.read(string(id)))
	_, err = w.Delete(bounded(t), &contract.DeleteTenantRequest{TenantID: contract.ID(kit.NewID()), DryRun: true})
	w.refuses(err, contract.NotFound, "")
}

// Several replicas sweep, and each tenant ends once.
func TestATenantIsErasedWhenItsGraceIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	due, later := newTenant(t, w.App), newTenant(t, w.App)
	for tenant, days := range map[contract.ID]int{due: 0, later: 1} {
		_, err := w.deleteIn(tenant, days)
		require.NoError(t, err)
	}
	swept := make(chan error, 4)
	for range cap(swept) {
		go func() { swept <- w.Sweep(bounded(t)) }()
	}
	for range cap(swept) {
		require.NoError(t, <-swept)
	}
	asked := toldOf[events.TenantErasure](w, events.TenantErasing)
	require.Equal(t, []events.TenantErasure{{TenantID: string(due)}}, asked)
	require.Equal(t, contract.TenantDeleting, w.read(string(later)).State)
	_, err := w.Restore(bounded(t), &contract.TenantReasonRequest{TenantID: due})
	w.refuses(err, contract.NotFound, "")

	w.confirm(events.TenantErased("auth"), events.TenantErasure{TenantID: string(due), Counts: map[string]int64{"users": 7}})
	w.confirm(events.TenantErased("auth"), events.TenantErasure{TenantID: string(due), Counts: map[string]int64{"users": 7}})
	require.Equal(t, []string{"audit", "rbac"}, w.read(string(due)).Progress.Waiting)
	_, known := w.Directory.Tenant(string(due))
	require.False(t, known, "projections have forgotten it")
	w.confirm(events.TenantErased("audit"), events.TenantErasure{TenantID: string(due)})
	w.confirm(events.TenantErased("rbac"), events.TenantErasure{TenantID: string(due)})
	w.confirm(events.TenantErased("rbac"), events.TenantErasure{TenantID: string(due)})
	detail := w.read(string(due))
	require.Nil(t, detail.Progress)
	require.Empty(t, detail.Code+detail.Name)
	erased := toldOf[events.TenantErasure](w, events.TenantErased("tenant"))
	require.Len(t, erased, 1)
	require.EqualValues(t, 7, erased[0].Counts["auth.users"])
	require.Equal(t, map[string]int{"tenants.id": 1}, w.leftOf(string(due)), "only the tombstone")
	require.NoError(t, w.Sweep(bounded(t)))
	require.Len(t, toldOf[events.TenantErasure](w, events.TenantErasing), 1)
}

// leftOf counts what there is of a tenant in every table that names one.
func (w *world) leftOf(tenant string) map[string]int {
	w.t.Helper()
	left := map[string]int{}
	require.NoError(w.t, w.Store.DB.In(bounded(w.t), database.Everything, func(tx pgx.Tx) error {
		rows, err := tx.Query(bounded(w.t), `SELECT table_name::text FROM information_schema.columns
			WHERE table_schema = 'tenant' AND column_name = 'tenant_id'`)
		require.NoError(w.t, err)
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(w.t, err)
		require.Greater(w.t, len(tables), 2)
		count := func(table, column string) {
			var n int
			require.NoError(w.t, tx.QueryRow(bounded(w.t), "SELECT count(*) FROM "+table+" WHERE "+column+"::text = $1", tenant).Scan(&n))
			if n > 0 {
				left[table+"."+column] = n
			}
		}
		for _, table := range tables {
			count(table, "tenant_id")
		}
		count("tenants", "id")
		return nil
	}))
	return left
}

func TestServicesThatAreSilentAreAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, made, failed := w.begin("ACME")
	require.NoError(t, w.Sweep(bounded(t)))
	require.Len(t, toldOf[events.TenantProvision](w, events.TenantProvisioning), 1, "there was no time to answer")
	silence := func() {
		require.NoError(t, w.Store.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
			_, err := tx.Exec(bounded(t), "UPDATE tenants SET asked_at = asked_at - interval '2 minutes'")
			return err
		}))
	}
	silence()
	for range 2 {
		require.NoError(t, w.Sweep(bounded(t)))
	}
	again := toldOf[events.TenantProvision](w, events.TenantProvisioning)
	require.Equal(t, []events.TenantProvision{asked, asked}, again)
	w.confirm(events.AdministratorRefused, events.AdministratorRefusal{TenantID: asked.TenantID, Code: contract.Conflict})
	require.Nil(t, <-made)
	require.Error(t, <-failed)
	silence()
	require.NoError(t, w.Sweep(bounded(t)))
	require.Len(t, toldOf[events.TenantErasure](w, events.TenantErasing), 2)
}

func TestNameBrandingAndLimitsAreChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, err := w.Create(bounded(t), &contract.CreateTenantRequest{
		Code: "ACME", Name: " Acme ", Branding: &contract.Branding{PrimaryColor: "#112233"}, Limits: &contract.Limits{Users: 3},
	})
	require.NoError(t, err)
	require.Equal(t, "Acme", tenant.Name)
	require.Equal(t, []any{"#112233", 3}, []any{tenant.Branding.PrimaryColor, tenant.Limits.Users})
	_, err = w.Create(bounded(t), &contract.CreateTenantRequest{Code: "ACME", Name: "Another"})
	w.refuses(err, contract.AlreadyExists, "code")
	_, err = w.Create(bounded(t), &contract.CreateTenantRequest{Code: "OTHER", Name: "  "})
	w.refuses(err, contract.InvalidArgument, "name")

	id, name := contract.ID(tenant.ID), "Acme Ltd"
	_, err = w.Update(bounded(t), &contract.UpdateTenantRequest{TenantID: id, Name: &name, Revision: tenant.Revision + 1})
	w.refuses(err, contract.Conflict, "")
	named, err := w.Update(bounded(t), &contract.UpdateTenantRequest{TenantID: id, Name: &name, Revision: tenant.Revision})
	require.NoError(t, err)
	require.Equal(t, []any{name, "#112233"}, []any{named.Name, named.Branding.PrimaryColor})
	require.Greater(t, named.Revision, tenant.Revision)
	same, err := w.Update(bounded(t), &contract.UpdateTenantRequest{TenantID: id, Name: &name, Branding: named.Branding})
	require.NoError(t, err)
	require.Equal(t, named, same, "nothing changed")
	plain, err := w.Update(bounded(t), &contract.UpdateTenantRequest{TenantID: id, Branding: &contract.Branding{}})
	require.NoError(t, err)
	require.Nil(t, plain.Branding)

	limited, err := w.SetLimits(bounded(t), &contract.SetTenantLimitsRequest{TenantID: id, Companies: 2, Revision: plain.Revision})
	require.NoError(t, err)
	require.Equal(t, &contract.Limits{Companies: 2}, limited.Limits, "all limits at once")
	unlimited, err := w.SetLimits(bounded(t), &contract.SetTenantLimitsRequest{TenantID: id})
	require.NoError(t, err)
	require.Nil(t, unlimited.Limits)
	changes := []string{}
	for _, change := range toldOf[events.TenantChange](w, events.TenantAdministered) {
		if change.TenantID == tenant.ID {
			changes = append(changes, change.Change)
		}
	}
	require.Equal(t, []string{"created", "updated", "updated", "limited", "limited"}, changes)
}

func TestPeopleReadAndChangeTheirOwnTenantOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs := newTenant(t, w.App), newTenant(t, w.App)
	by := func(user kit.User) error {
		ctx := kit.WithCaller(bounded(t), kit.Caller{User: user})
		_, err := w.Read(ctx, &contract.TenantRequest{TenantID: ours})
		name := kit.NewID()
		_, changed := w.Update(ctx, &contract.UpdateTenantRequest{TenantID: ours, Name: &name})
		require.Equal(t, err, changed)
		return err
	}
	require.NoError(t, by(kit.User{ID: "u", TenantID: string(ours)}))
	require.NoError(t, by(kit.User{ID: "p", Platform: true}))
	require.NoError(t, by(kit.User{ID: "p", TenantID: string(theirs), Platform: true}))
	w.refuses(by(kit.User{ID: "u", TenantID: string(theirs)}), contract.NotFound, "")
	w.refuses(by(kit.User{ID: "u"}), contract.NotFound, "")
}

func TestTenantsAreListedAndSearched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, code := range []string{"B2", "A1", "C3"} {
		_, err := w.Create(bounded(t), &contract.CreateTenantRequest{Code: "LIST" + code, Name: "Firma 100% " + code})
		require.NoError(t, err)
	}
	list := func(r contract.ListAllTenantsRequest) (codes []string) {
		t.Helper()
		for {
			page, err := w.List(bounded(t), &r)
			require.NoError(t, err)
			for _, tenant := range page.Items {
				codes = append(codes, tenant.Code)
			}
			if r.Cursor = page.NextCursor; r.Cursor == "" {
				return codes
			}
		}
	}
	require.Equal(t, []string{"LISTA1", "LISTB2", "LISTC3"}, list(contract.ListAllTenantsRequest{Search: "list", Limit: 1}))
	require.Equal(t, []string{"LISTB2"}, list(contract.ListAllTenantsRequest{Search: "100% b2"}))
	require.Empty(t, list(contract.ListAllTenantsRequest{Search: "100_"}))
	require.Empty(t, list(contract.ListAllTenantsRequest{State: contract.TenantSuspended}))
	found, err := w.List(bounded(t), &contract.ListAllTenantsRequest{Search: "LISTA1"})
	require.NoError(t, err)
	_, err = w.deleteIn(contract.ID(found.Items[0].ID), 0)
	require.NoError(t, err)
	require.Equal(t, []string{"LISTA1"}, list(contract.ListAllTenantsRequest{State: contract.TenantDeleting}))
	require.NoError(t, w.Sweep(bounded(t)))
	require.Equal(t, []string{"LISTB2", "LISTC3"}, list(contract.ListAllTenantsRequest{Search: "list"}), "erased ones are history")
	_, err = w.List(bounded(t), &contract.ListAllTenantsRequest{Cursor: "x"})
	w.refuses(err, contract.InvalidArgument, "cursor")
}

func TestATenantHasNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := newTenant(t, w.App)
	_, err := w.SetLimits(bounded(t), &contract.SetTenantLimitsRequest{TenantID: id, Companies: 1})
	require.NoError(t, err)
	company := func(code string) error {
		_, err := w.CreateUnit(bounded(t), &contract.CreateUnitRequest{TenantID: id, Kind: contract.Company, Code: code, Name: code})
		return err
	}
	made := make(chan error, 4)
	for i := range cap(made) {
		go func() { made <- company(string(rune('A' + i))) }()
	}
	done := 0
	for range cap(made) {
		if err := <-made; err == nil {
			done++
		} else {
			w.refuses(err, contract.Conflict, "limits.companies")
			require.ErrorContains(t, err, "1 companies and has 1")
		}
	}
	require.Equal(t, 1, done)
	require.Equal(t, 1, w.read(string(id)).Usage.Companies)

	require.NoError(t, w.Store.Read(bounded(t), string(id), func(q *db.Queries) error {
		use, err := q.TenantUse(bounded(t), string(id))
		require.EqualValues(t, 1, use.Companies)
		return err
	}))
}
