package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/services/tenant/internal/store"
)

func TestMain(m *testing.M) { kittest.Main(m) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newApp(t testing.TB) (a *App, tenant contract.ID) {
	t.Helper()
	url := kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) })
	db, err := database.Open(bounded(t), url, "tenant", 0)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	a = &App{Store: &store.Store{DB: db, Committed: func() {}}, Directory: directory.New(slog.New(slog.DiscardHandler))}
	return a, newTenant(t, a)
}

func newTenant(t testing.TB, a *App) contract.ID {
	t.Helper()
	made, err := a.Create(bounded(t), &contract.CreateTenantRequest{Code: "T" + kit.NewID()[24:], Name: "A tenant"})
	require.NoError(t, err)
	return contract.ID(made.ID)
}

// org is the organisation of one tenant.
type org struct {
	*App
	t      testing.TB
	tenant contract.ID
}

func newOrg(t testing.TB) *org {
	t.Helper()
	a, tenant := newApp(t)
	return &org{a, t, tenant}
}

// at is the same for a test within the test.
func (o *org) at(t testing.TB) *org { return &org{o.App, t, o.tenant} }

// ctx is a service's.
func (o *org) ctx() context.Context {
	o.t.Helper()
	return bounded(o.t)
}

// as is a person's.
func (o *org) as(user kit.User) context.Context {
	o.t.Helper()
	return kit.WithCaller(bounded(o.t), kit.Caller{User: user})
}

// unit makes one; code is its name too.
func (o *org) unit(kind, parent, code string) string {
	o.t.Helper()
	made, err := o.CreateUnit(o.ctx(), o.wanted(kind, parent, code))
	require.NoError(o.t, err)
	return made.ID
}

func (o *org) wanted(kind, parent, code string) *contract.CreateUnitRequest {
	return &contract.CreateUnitRequest{TenantID: o.tenant, Kind: kind, ParentID: contract.ID(parent), Code: code, Name: code}
}

func (o *org) move(unit, parent string) (*contract.OrgUnit, error) {
	o.t.Helper()
	return o.MoveUnit(o.ctx(), &contract.MoveUnitRequest{TenantID: o.tenant, UnitID: contract.ID(unit), ParentID: contract.ID(parent)})
}

func (o *org) update(unit string, change contract.UpdateUnitRequest) (*contract.OrgUnit, error) {
	o.t.Helper()
	change.TenantID, change.UnitID = o.tenant, contract.ID(unit)
	return o.UpdateUnit(o.ctx(), &change)
}

func (o *org) remove(unit string, withBelow bool) (*contract.UnitRemoval, error) {
	o.t.Helper()
	return o.DeleteUnit(o.ctx(), &contract.DeleteUnitRequest{TenantID: o.tenant, UnitID: contract.ID(unit), WithBelow: withBelow})
}

func (o *org) restore(unit string, withBelow bool) (*contract.OrgUnit, error) {
	o.t.Helper()
	return o.RestoreUnit(o.ctx(), &contract.RestoreUnitRequest{TenantID: o.tenant, UnitID: contract.ID(unit), WithBelow: withBelow})
}

func (o *org) get(unit string) *contract.UnitDetail {
	o.t.Helper()
	detail, err := o.GetUnit(o.ctx(), &contract.UnitRequest{TenantID: o.tenant, UnitID: contract.ID(unit)})
	require.NoError(o.t, err)
	return detail
}

// told are the states of units that were told, in their order.
func (o *org) told() (all []contract.OrgUnit) {
	o.t.Helper()
	require.NoError(o.t, o.Store.DB.Read(o.ctx(), database.Everything, func(tx pgx.Tx) error {
		rows, err := tx.Query(o.ctx(), "SELECT event FROM outbox ORDER BY id")
		if err != nil {
			return err
		}
		raws, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		for _, raw := range raws {
			var e events.Event
			require.NoError(o.t, json.Unmarshal(raw, &e))
			if events.UnitChanged.Is(e) {
				var unit contract.OrgUnit
				require.NoError(o.t, json.Unmarshal(e.Data(), &unit))
				all = append(all, unit)
			}
		}
		return err
	}))
	return all
}

func requireRefused(t testing.TB, code contract.Code, field string, err error) {
	t.Helper()
	var refused *contract.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, []any{code, field}, []any{refused.Code, refused.Field}, refused.Message)
}

func ids(units []contract.OrgUnit) (all []string) {
	for _, u := range units {
		all = append(all, u.ID)
	}
	return all
}

func TestAUnitIsMadeInItsPlace(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	company := o.unit("company", "", "c")
	branch := o.unit("branch", company, "b")
	department := o.unit("department", branch, "d")
	o.unit("department", department, "below")
	o.unit("department", company, "d2")
	theirs := &org{o.App, t, newTenant(t, o.App)}
	elsewhere := theirs.unit("company", "", "c")
	gone := o.unit("department", company, "gone")
	_, err := o.remove(gone, false)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		kind, parent string
		code         contract.Code
		field        string
	}{
		"a company is in nothing":           {"company", company, contract.InvalidArgument, "parent_id"},
		"a branch is in something":          {"branch", "", contract.InvalidArgument, "parent_id"},
		"a department too":                  {"department", "", contract.InvalidArgument, "parent_id"},
		"a branch is in no branch":          {"branch", branch, contract.InvalidArgument, "parent_id"},
		"nor in a department":               {"branch", department, contract.InvalidArgument, "parent_id"},
		"what it is in must exist":          {"branch", kit.NewID(), contract.NotFound, "parent_id"},
		"and not be deleted":                {"department", gone, contract.NotFound, "parent_id"},
		"nor be another tenant's":           {"department", elsewhere, contract.NotFound, "parent_id"},
		"a name is more than white space":   {"company", "", contract.InvalidArgument, "name"},
		"a head is somebody":                {"company", "", contract.NotFound, "head_user_id"},
		"a tenant must exist":               {"company", "", contract.NotFound, ""},
		"a person acts in their own tenant": {"company", "", contract.NotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := o.at(t)
			r, ctx := o.wanted(c.kind, c.parent, "x"), o.ctx()
			switch name {
			case "a name is more than white space":
				r.Name = " \t "
			case "a head is somebody":
				r.HeadUserID = contract.ID(kit.NewID())
			case "a tenant must exist":
				r.TenantID = contract.ID(kit.NewID())
			case "a person acts in their own tenant":
				ctx = o.as(kit.User{ID: kit.NewID(), TenantID: string(theirs.tenant)})
			}
			_, err := o.CreateUnit(ctx, r)
			requireRefused(t, c.code, c.field, err)
		})
	}
}

func TestAUnitIsWhatItWasMadeAs(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	head := kit.NewID()
	o.Directory.PutMember(contract.Member{UserID: head, TenantID: string(o.tenant), Active: true, Revision: 1})
	company := o.unit("company", "", "c")
	r := o.wanted("branch", company, "IST-01")
	r.Name, r.HeadUserID = "  Istanbul ", contract.ID(head)
	made, err := o.CreateUnit(o.ctx(), r)
	require.NoError(t, err)
	require.Equal(t, contract.OrgUnit{
		TenantID: string(o.tenant), ID: made.ID, Kind: "branch", ParentID: company, Code: "IST-01", Name: "Istanbul", HeadUserID: head,
		CreatedAt: made.CreatedAt, UpdatedAt: made.CreatedAt, Revision: made.Revision,
	}, *made)
	require.WithinDuration(t, time.Now(), made.CreatedAt, time.Minute)
	require.Equal(t, *made, o.get(made.ID).Unit)
	told := o.told()
	require.Equal(t, *made, told[len(told)-1])
	require.Contains(t, o.Directory.Units(string(o.tenant)), *made)
}

func TestAMoveKeepsTheTreeSound(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	one, two := o.unit("company", "", "one"), o.unit("company", "", "two")
	branch, other := o.unit("branch", one, "b"), o.unit("branch", two, "o")
	upper := o.unit("department", branch, "upper")
	lower := o.unit("department", upper, "lower")
	gone := o.unit("department", two, "gone")
	_, err := o.remove(gone, false)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		unit, parent string
		code         contract.Code
		field        string
	}{
		"a company stays at the top":            {one, two, contract.Conflict, ""},
		"a branch stays in a company":           {branch, other, contract.InvalidArgument, "parent_id"},
		"it is in no department":                {branch, upper, contract.InvalidArgument, "parent_id"},
		"nothing is in itself":                  {upper, upper, contract.Conflict, ""},
		"nor in what is below it":               {upper, lower, contract.Conflict, ""},
		"what it goes to must exist":            {upper, kit.NewID(), contract.NotFound, "parent_id"},
		"and not be deleted":                    {upper, gone, contract.NotFound, "parent_id"},
		"a unit must exist":                     {kit.NewID(), one, contract.NotFound, ""},
		"and not be deleted itself to be moved": {gone, one, contract.NotFound, ""},
	} {
		_, err := o.move(c.unit, c.parent)
		requireRefused(t, c.code, c.field, err)
		require.NotEmpty(t, name)
	}
	for _, to := range []string{other, two, one, branch} {
		moved, err := o.move(upper, to)
		require.NoError(t, err)
		require.Equal(t, to, moved.ParentID)
		require.Equal(t, upper, o.get(lower).Path[len(o.get(lower).Path)-2].ID, "what is below comes along")
	}
	moved, err := o.move(branch, two)
	require.NoError(t, err)
	require.Equal(t, two, moved.ParentID)
	require.Equal(t, two, o.get(lower).Path[0].ID)
}

// Whether they may move it, rbac decides by what holds in the units above.
func TestAPersonIsAskedAboutBeforeTheyMoveAUnit(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	one, two := o.unit("company", "", "one"), o.unit("company", "", "two")
	branch, other := o.unit("branch", one, "b"), o.unit("branch", two, "o")
	upper := o.unit("department", branch, "upper")
	unit := o.unit("department", upper, "unit")
	rights := &fakeRights{}
	o.Rights = rights
	person := kit.User{ID: kit.NewID(), TenantID: string(o.tenant)}
	move := func(user kit.User, unit, parent string) error {
		_, err := o.MoveUnit(o.as(user), &contract.MoveUnitRequest{TenantID: o.tenant, UnitID: contract.ID(unit), ParentID: contract.ID(parent)})
		return err
	}
	asked := func(unit string, enters, leaves []string) contract.MayMoveUnitRequest {
		return contract.MayMoveUnitRequest{
			TenantID: o.tenant, UnitID: contract.ID(unit), ByUserID: contract.ID(person.ID), Enters: enters, Leaves: leaves,
		}
	}
	require.NoError(t, move(person, unit, other))
	require.NoError(t, move(person, unit, two))
	require.NoError(t, move(person, unit, two), "which is nothing")
	require.NoError(t, move(person, unit, upper))
	require.Equal(t, []contract.MayMoveUnitRequest{
		asked(unit, []string{two, other}, []string{one, branch, upper}),
		asked(unit, nil, []string{other}),
		asked(unit, []string{one, branch, upper}, []string{two}),
	}, rights.moves)

	rights.refuses = contract.Errorf(contract.PermissionDenied, "no")
	require.ErrorIs(t, move(person, unit, other), rights.refuses)
	require.Equal(t, upper, o.get(unit).Unit.ParentID)
	requireRefused(t, contract.NotFound, "", move(person, kit.NewID(), other))
	requireRefused(t, contract.NotFound, "parent_id", move(person, unit, kit.NewID()))
	before := len(rights.moves)
	require.NoError(t, move(kit.User{ID: kit.NewID(), TenantID: string(o.tenant), Platform: true}, unit, other))
	_, err := o.move(unit, two)
	require.NoError(t, err)
	require.Len(t, rights.moves, before, "platform administrators and services hold everything")
}

func TestACodeIsUniqueInOneUnit(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	one, two := o.unit("company", "", "ONE"), o.unit("company", "", "two")
	(&org{o.App, t, newTenant(t, o.App)}).unit("company", "", "one")
	first := o.unit("branch", one, "a.B_c-1")
	second := o.unit("department", two, "A.b_C-1")
	third := o.unit("department", one, "third")
	taken := func(_ any, err error) {
		t.Helper()
		requireRefused(t, contract.AlreadyExists, "code", err)
	}
	made := func(kind, parent, code string) (any, error) {
		return o.CreateUnit(o.ctx(), o.wanted(kind, parent, code))
	}
	taken(made("company", "", "one"))
	taken(made("company", "", "TWO"))
	taken(made("department", one, "A.B_C-1"))
	code := "A.b_c-1"
	taken(o.update(third, contract.UpdateUnitRequest{Code: &code}))
	taken(o.move(second, one))
	spelt, err := o.update(first, contract.UpdateUnitRequest{Code: &code})
	require.NoError(t, err, "of itself it may have it, spelt otherwise")
	require.Equal(t, code, spelt.Code)

	_, err = o.remove(first, false)
	require.NoError(t, err)
	_, err = o.move(second, one)
	require.NoError(t, err, "a deleted unit's code is free")
	taken(o.restore(first, false))
	free := "free"
	_, err = o.update(second, contract.UpdateUnitRequest{Code: &free})
	require.NoError(t, err)
	_, err = o.restore(first, false)
	require.NoError(t, err)
}

// chain makes departments below one another.
func (o *org) chain(parent string, length int) (all []string) {
	o.t.Helper()
	for range length {
		parent = o.unit("department", parent, "x")
		all = append(all, parent)
	}
	return all
}

func TestATreeHasAtMost32Levels(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	company, other := o.unit("company", "", "c"), o.unit("company", "", "o")
	deep := o.chain(company, contract.OrgDepth-1)
	lowest := deep[len(deep)-1]
	require.Len(t, o.get(lowest).Path, contract.OrgDepth)
	_, err := o.CreateUnit(o.ctx(), o.wanted("department", lowest, "y"))
	requireRefused(t, contract.Conflict, "", err)

	pair := o.chain(other, 2)
	_, err = o.move(pair[0], deep[len(deep)-2])
	requireRefused(t, contract.Conflict, "", err)
	_, err = o.remove(lowest, false)
	require.NoError(t, err)
	_, err = o.move(pair[0], deep[len(deep)-2])
	requireRefused(t, contract.Conflict, "", err)
	_, err = o.remove(deep[len(deep)-2], false)
	require.NoError(t, err)
	_, err = o.move(pair[0], deep[len(deep)-3])
	require.NoError(t, err, "two levels fit")

	// What was deleted counts when it comes back.
	_, err = o.remove(pair[1], false)
	require.NoError(t, err)
	shallow := o.unit("department", other, "shallow")
	_, err = o.move(shallow, pair[0])
	require.NoError(t, err)
	_, err = o.CreateUnit(o.ctx(), o.wanted("department", shallow, "y"))
	requireRefused(t, contract.Conflict, "", err)
	_, err = o.move(shallow, other)
	require.NoError(t, err)
	three := o.chain(shallow, 2)
	_, err = o.remove(three[0], true)
	require.NoError(t, err)
	_, err = o.move(shallow, pair[0])
	require.NoError(t, err)
	_, err = o.restore(three[0], true)
	requireRefused(t, contract.Conflict, "", err)
}

func TestADeletionSaysWhatGoes(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	company := o.unit("company", "", "c")
	branch := o.unit("branch", company, "b")
	lower := o.chain(branch, 2)
	o.unit("branch", company, "stays")
	_, err := o.remove(branch, false)
	requireRefused(t, contract.Conflict, "", err)
	require.ErrorContains(t, err, "2 of them")
	before := len(o.told())
	request := &contract.DeleteUnitRequest{TenantID: o.tenant, UnitID: contract.ID(branch), WithBelow: true, DryRun: true}
	dry, err := o.DeleteUnit(o.ctx(), request)
	require.NoError(t, err)
	require.Equal(t, &contract.UnitRemoval{DryRun: true, Units: 3, Revision: o.get(branch).Unit.Revision, Items: []contract.UnitName{
		{ID: branch, Kind: "branch", Code: "b", Name: "b"},
		{ID: lower[0], Kind: "department", Code: "x", Name: "x"},
		{ID: lower[1], Kind: "department", Code: "x", Name: "x"},
	}}, dry)
	require.Len(t, o.told(), before, "nothing happened")
	request.WithBelow = false
	_, err = o.DeleteUnit(o.ctx(), request)
	requireRefused(t, contract.Conflict, "", err)

	gone, err := o.remove(branch, true)
	require.NoError(t, err)
	require.Equal(t, dry.Items, gone.Items)
	require.False(t, gone.DryRun)
	require.Equal(t, o.get(branch).Unit.Revision, gone.Revision)
	require.Equal(t, []string{lower[1], lower[0], branch}, ids(o.told()[before:]), "from below")
	for _, unit := range o.told()[before:] {
		require.True(t, unit.Removed)
		require.Equal(t, unit, o.get(unit.ID).Unit)
	}
	_, err = o.remove(lower[1], false)
	requireRefused(t, contract.NotFound, "", err)
	name := "x"
	_, err = o.update(branch, contract.UpdateUnitRequest{Name: &name})
	requireRefused(t, contract.NotFound, "", err)

	all, err := o.remove(company, true)
	require.NoError(t, err)
	require.Equal(t, 2, all.Units, "those that are gone do not go again")
}

func TestADeletionOfManyNamesTheFirst(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	company := o.unit("company", "", "c")
	for range maxNamed + 5 {
		o.unit("department", company, "d"+kit.NewID()[24:])
	}
	gone, err := o.remove(company, true)
	require.NoError(t, err)
	require.Equal(t, maxNamed+6, gone.Units)
	require.Len(t, gone.Items, maxNamed)
	require.Equal(t, company, gone.Items[0].ID)
}

func TestWhatWasDeletedTogetherComesBackTogether(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	company := o.unit("company", "", "c")
	branch := o.unit("branch", company, "b")
	lower := o.chain(branch, 2)
	earlier := o.unit("department", branch, "earlier")
	for _, gone := range []string{earlier, branch} {
		_, err := o.remove(gone, true)
		require.NoError(t, err)
	}
	_, err := o.restore(lower[0], true)
	requireRefused(t, contract.Conflict, "", err)
	require.ErrorContains(t, err, `branch "b"`)
	before := len(o.told())
	back, err := o.restore(branch, true)
	require.NoError(t, err)
	require.Equal(t, branch, back.ID)
	require.False(t, back.Removed)
	require.Equal(t, []string{branch, lower[0], lower[1]}, ids(o.told()[before:]), "from above")
	require.True(t, o.get(earlier).Unit.Removed, "it went by itself")
	_, err = o.restore(branch, true)
	requireRefused(t, contract.Conflict, "", err)
	_, err = o.restore(kit.NewID(), true)
	requireRefused(t, contract.NotFound, "", err)

	_, err = o.remove(branch, true)
	require.NoError(t, err)
	_, err = o.restore(branch, false)
	require.NoError(t, err)
	require.True(t, o.get(lower[0]).Unit.Removed, "not asked for")
	_, err = o.restore(lower[0], true)
	require.NoError(t, err)
	require.False(t, o.get(lower[1]).Unit.Removed)
}

func TestAHeadBelongsToTheTenant(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	theirs := string(newTenant(t, o.App))
	own, guest, stranger, root := kit.NewID(), kit.NewID(), kit.NewID(), kit.NewID()
	for _, m := range []contract.Member{
		{UserID: own, TenantID: string(o.tenant), Active: true, Revision: 1},
		{UserID: guest, TenantID: theirs, Tenants: []string{string(o.tenant)}, Active: true, Revision: 1},
		{UserID: stranger, TenantID: theirs, Active: true, Revision: 1},
		{UserID: root, Platform: true, Active: true, Revision: 1},
	} {
		o.Directory.PutMember(m)
	}
	unit := o.unit("company", "", "c")
	for _, head := range []string{own, guest} {
		led, err := o.update(unit, contract.UpdateUnitRequest{HeadUserID: contract.IDOrNull(head)})
		require.NoError(t, err)
		require.Equal(t, head, led.HeadUserID)
	}
	for _, nobody := range []string{stranger, root, kit.NewID()} {
		_, err := o.update(unit, contract.UpdateUnitRequest{HeadUserID: contract.IDOrNull(nobody)})
		requireRefused(t, contract.NotFound, "head_user_id", err)
	}
	name := "C"
	named, err := o.update(unit, contract.UpdateUnitRequest{Name: &name})
	require.NoError(t, err)
	require.Equal(t, guest, named.HeadUserID, "what is absent stays")
	nobody, err := o.update(unit, contract.UpdateUnitRequest{HeadUserID: contract.Null})
	require.NoError(t, err)
	require.Empty(t, nobody.HeadUserID)
}

func TestWhoLeavesHeadsNothing(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	theirs := &org{o.App, t, newTenant(t, o.App)}
	heads := func() (all []string) {
		for _, of := range []*org{o, theirs} {
			page, err := of.SearchUnits(of.ctx(), &contract.SearchUnitsRequest{TenantID: of.tenant})
			require.NoError(t, err)
			for _, unit := range page.Items {
				all = append(all, unit.HeadUserID)
			}
		}
		return all
	}
	person, other := kit.NewID(), kit.NewID()
	revision := int64(0)
	state := func(change func(*contract.Member)) contract.Member {
		revision++
		m := contract.Member{UserID: person, TenantID: string(o.tenant), Tenants: []string{string(theirs.tenant)}, Active: true, Revision: revision}
		change(&m)
		return m
	}
	tell := func(m contract.Member) {
		e, err := events.New(events.UserChanged, string(o.tenant), m.Revision, m)
		require.NoError(t, err)
		require.NoError(t, o.MemberChanged(o.ctx(), e))
	}
	o.Directory.PutMember(state(func(*contract.Member) {}))
	o.Directory.PutMember(contract.Member{UserID: other, TenantID: string(o.tenant), Active: true, Revision: 1})
	for i, of := range []*org{o, theirs, o} {
		r := of.wanted("company", "", fmt.Sprint("c", i))
		r.HeadUserID = contract.ID([]string{person, person, other}[i])
		_, err := of.CreateUnit(of.ctx(), r)
		require.NoError(t, err)
	}
	tell(state(func(m *contract.Member) { m.Active = false }))
	require.Equal(t, []string{person, other, person}, heads(), "may come back")
	left := state(func(m *contract.Member) { m.Tenants = nil })
	o.Directory.PutMember(state(func(*contract.Member) {}))
	tell(left)
	require.Equal(t, []string{person, other, person}, heads(), "has come back")
	told := len(o.told())
	tell(state(func(m *contract.Member) { m.Tenants = nil }))
	require.Equal(t, []string{person, other, ""}, heads())
	tell(state(func(m *contract.Member) { m.Active, m.Deleted = false, true }))
	require.Equal(t, []string{"", other, ""}, heads())
	require.Len(t, o.told(), told+2)
}

func TestAChangeOfAnOlderUnitIsRefused(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	company, other := o.unit("company", "", "c"), o.unit("company", "", "o")
	unit := o.unit("department", company, "d")
	old := o.get(unit).Unit.Revision
	name := "Renamed"
	_, err := o.update(unit, contract.UpdateUnitRequest{Name: &name, Revision: old})
	require.NoError(t, err)
	id := contract.ID(unit)
	change := func(revision int64) map[string]func() error {
		return map[string]func() error{
			"update": func() error {
				next := name + "!"
				_, err := o.update(unit, contract.UpdateUnitRequest{Name: &next, Revision: revision})
				return err
			},
			"move": func() error {
				_, err := o.MoveUnit(o.ctx(), &contract.MoveUnitRequest{TenantID: o.tenant, UnitID: id, ParentID: contract.ID(other), Revision: revision})
				return err
			},
			"delete": func() error {
				_, err := o.DeleteUnit(o.ctx(), &contract.DeleteUnitRequest{TenantID: o.tenant, UnitID: id, Revision: revision})
				return err
			},
			"restore": func() error {
				_, err := o.RestoreUnit(o.ctx(), &contract.RestoreUnitRequest{TenantID: o.tenant, UnitID: id, Revision: revision})
				return err
			},
		}
	}
	for _, what := range []string{"update", "move", "delete", "restore"} {
		requireRefused(t, contract.Conflict, "", change(old)[what]())
		require.NoError(t, change(o.get(unit).Unit.Revision)[what](), what)
	}
}

func TestWhatChangesNothingIsNotTold(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	company := o.unit("company", "", "c")
	unit := o.unit("department", company, "d")
	before := o.get(unit).Unit
	name, told := "d", len(o.told())
	same, err := o.update(unit, contract.UpdateUnitRequest{Name: &name, Code: &name, HeadUserID: contract.Null})
	require.NoError(t, err)
	require.Equal(t, before, *same)
	same, err = o.move(unit, company)
	require.NoError(t, err)
	require.Equal(t, before, *same)
	require.Len(t, o.told(), told)
}

func TestATenantHasNoMoreCompaniesThanItMay(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	_, err := o.SetLimits(o.ctx(), &contract.SetTenantLimitsRequest{TenantID: o.tenant, Companies: 2})
	require.NoError(t, err)
	one := o.unit("company", "", "one")
	o.unit("branch", one, "b")
	o.unit("company", "", "two")
	_, err = o.CreateUnit(o.ctx(), o.wanted("company", "", "three"))
	require.ErrorIs(t, err, &contract.Error{Code: contract.Conflict})
	_, err = o.remove(one, true)
	require.NoError(t, err)
	three := o.unit("company", "", "three")
	_, err = o.restore(one, true)
	require.ErrorIs(t, err, &contract.Error{Code: contract.Conflict})
	_, err = o.remove(three, false)
	require.NoError(t, err)
	_, err = o.restore(one, true)
	require.NoError(t, err)
}
