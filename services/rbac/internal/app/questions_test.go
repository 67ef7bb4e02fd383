package app

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func TestEffectivePermissionsSayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	reader, audits := o.role("reader", "crm:*:read", "financial:accounts:read"), o.role("audits", "audit:*:read", "crm:*:read")
	user := o.user()
	group := o.group("readers", []string{user}, "reader")
	past := time.Now().Add(time.Hour)
	own := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "audits", UnitID: contract.ID(o.branch)})
	deny := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "audits", Effect: "deny", ResourceType: "deal", ResourceID: "7"})
	over := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "audits", ExpiresAt: &past})
	o.exec("UPDATE bindings SET expires_at = now() - interval '1 hour' WHERE id = $1", over.ID)
	o.reload()
	shared, err := o.ListBindings(o.service(), &contract.ListBindingsRequest{TenantID: o.id(), GroupID: contract.ID(group.ID)})
	require.NoError(t, err)

	got, err := o.Effective(o.as(o.admin), &contract.EffectiveRequest{UserID: contract.ID(user)})
	require.NoError(t, err)
	step := func(code, binding, effect, scope string) contract.TraceStep {
		return contract.TraceStep{BindingID: binding, RoleID: audits.ID, Role: "audits", Effect: effect, Scope: scope, Code: code, Outcome: "applies"}
	}
	resource, unit := "resource:deal:7", "unit:"+o.branch
	require.Equal(t, contract.EffectiveResponse{Revision: o.Engine.Policy(o.tenant).Revision(), Items: []contract.EffectivePermission{
		{Permission: "audit:*:read", Sources: []contract.TraceStep{step("audit:*:read", deny.ID, "deny", resource), step("audit:*:read", own.ID, "allow", unit)}},
		{Permission: "crm:*:read", Sources: []contract.TraceStep{
			step("crm:*:read", deny.ID, "deny", resource),
			{
				BindingID: shared.Items[0].ID, RoleID: reader.ID, Role: "reader", GroupID: group.ID, Group: "readers",
				Effect: "allow", Scope: "tenant", Code: "crm:*:read", Outcome: "applies",
			},
			step("crm:*:read", own.ID, "allow", unit),
		}},
	}}, *got, "financial is not enabled, and what expired is over")
}

func TestAnExplanationNamesWhatDecidedAndWhatWouldHelp(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.declare("crm", "crm:deals:read")
	reader, all := o.role("reader", "crm:*:read"), o.role("all", "crm:**")
	user := o.user()
	ask := func(permission string, change ...func(*contract.ExplainRequest)) *contract.Explanation {
		t.Helper()
		r := &contract.ExplainRequest{UserID: contract.ID(user), Permission: permission}
		for _, c := range change {
			c(r)
		}
		e, err := o.Explain(o.as(o.admin), r)
		require.NoError(t, err)
		require.Equal(t, o.Engine.Policy(o.tenant).Revision(), e.Revision)
		return e
	}
	kinds := func(e *contract.Explanation) (kinds []string) {
		for _, m := range e.Misses {
			kinds = append(kinds, m.Kind+" "+m.Role+m.Module)
		}
		return kinds
	}
	e := ask("crm:deals:read")
	require.Equal(t, "not_granted", e.Reason)
	require.True(t, e.Declared)
	require.Empty(t, e.Trace)
	require.Equal(t, []string{"role all", "role reader", "role tenant-administrator"}, kinds(e))
	require.False(t, ask("crm:deels:read").Declared)
	require.True(t, ask("users:read:tenant").Declared)
	require.Equal(t, []string{"module financial", "role tenant-administrator"}, kinds(ask("financial:accounts:read")))

	narrow := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), RoleID: contract.ID(all.ID), UnitID: contract.ID(o.branch)})
	e = ask("crm:deals:read")
	require.Equal(t, []string{"scope all", "role reader", "role tenant-administrator"}, kinds(e))
	require.Equal(t, "unit:"+o.branch, e.Misses[0].Scope)
	e = ask("crm:deals:read", func(r *contract.ExplainRequest) {
		r.CompanyID, r.BranchID = contract.ID(o.company), contract.ID(o.branch)
	})
	require.True(t, e.Allowed, "the lowest unit that is named counts")
	require.Equal(t, narrow.ID, e.Deciding.BindingID)

	deny := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), RoleID: contract.ID(reader.ID), Effect: "deny"})
	e = ask("crm:deals:read", func(r *contract.ExplainRequest) { r.BranchID = contract.ID(o.branch) })
	require.False(t, e.Allowed)
	require.Equal(t, "denied", e.Reason)
	require.Equal(t, deny.ID, e.Deciding.BindingID)
	require.Equal(t, []string{deny.ID, narrow.ID}, []string{e.Trace[0].BindingID, e.Trace[1].BindingID}, "denies first")
	require.Equal(t, []string{"deny reader"}, kinds(e))

	o.tells(o, user, 1000, func(m *contract.Member) { m.Active = false })
	require.Equal(t, "user_suspended", ask("crm:deals:read").Reason)
	user = kit.NewID()
	o.Directory.PutMember(contract.Member{UserID: user, Platform: true, Active: true, Revision: 1})
	require.Equal(t, "platform_administrator", ask("crm:deals:read").Reason)
}

// Whoever may at every moment is listed exactly once, whatever else happens.
func TestWhoCanComesInPagesWhileOthersComeAndGo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	want := []string{o.admin, o.user("reader"), o.user("reader"), o.user("reader")}
	shared := []string{o.user(), o.user()}
	want = append(want, shared...)
	o.group("readers", shared, "reader")
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(o.user("reader")), Role: "reader", Effect: "deny"})
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(o.user()), Role: "reader", UnitID: contract.ID(o.branch)})
	var got []string
	ask := contract.WhoCanRequest{Permission: "crm:deals:read", Limit: 2}
	var passing []string
	for {
		page, err := o.WhoCan(o.as(o.admin), &ask)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.UserIDs), 2)
		for _, user := range page.UserIDs {
			if !slices.Contains(passing, user) {
				got = append(got, user)
			}
		}
		if ask.Cursor = page.NextCursor; ask.Cursor == "" {
			break
		}
		passing = append(passing, o.user("reader"))
	}
	require.ElementsMatch(t, want, got)
	branch, err := o.WhoCan(o.as(o.admin), &contract.WhoCanRequest{Permission: "crm:deals:read", BranchID: contract.ID(o.branch)})
	require.NoError(t, err)
	require.Len(t, branch.UserIDs, len(want)+len(passing)+1)
	_, err = o.WhoCan(o.as(o.admin), &contract.WhoCanRequest{Permission: "crm:deals:read", Cursor: "nonsense"})
	refuses(t, err, contract.InvalidArgument, "cursor")
}

func TestASimulationChangesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	reader := o.role("reader", "crm:*:read")
	user := o.user()
	held := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "reader", UnitID: contract.ID(o.branch)})
	group := o.group("readers", nil, "reader")
	in := o.group("guests", []string{user})
	o.declare("financial", "financial:accounts:read")
	before, digest, events := o.Engine.Policy(o.tenant), o.Engine.Policy(o.tenant).Digest(), len(o.events())
	for name, c := range map[string]struct {
		ask           contract.SimulateRequest
		before, after bool
	}{
		"nothing":         {contract.SimulateRequest{}, false, false},
		"a binding":       {contract.SimulateRequest{Grant: []contract.BindingFields{{UserID: user, Role: "reader"}}}, false, true},
		"a group's":       {contract.SimulateRequest{Grant: []contract.BindingFields{{GroupID: in.ID, RoleID: reader.ID}}}, false, true},
		"a binding there": {contract.SimulateRequest{Grant: []contract.BindingFields{{UserID: user, Role: "reader", UnitID: o.company}}}, false, false},
		"of the platform": {contract.SimulateRequest{Permission: "audit:events:read", Grant: []contract.BindingFields{{UserID: user, Role: "auditor"}}}, false, true},
		"joining":         {contract.SimulateRequest{JoinGroups: []string{group.ID}}, false, true},
		"joining and leaving": {
			contract.SimulateRequest{JoinGroups: []string{group.ID}, LeaveGroups: []string{group.ID}}, false, false,
		},
		"its end": {contract.SimulateRequest{BranchID: contract.ID(o.branch), Revoke: []string{held.ID}}, true, false},
		"a deny": {
			contract.SimulateRequest{BranchID: contract.ID(o.branch), Grant: []contract.BindingFields{{UserID: user, Role: "reader", Effect: "deny"}}}, true, false,
		},
		"another role": {
			contract.SimulateRequest{BranchID: contract.ID(o.branch), Roles: []contract.SupposedRole{{RoleID: reader.ID, Permissions: []string{"crm:*:write"}}}}, true, false,
		},
		"another role that is given": {
			contract.SimulateRequest{
				Permission: "audit:events:read", Roles: []contract.SupposedRole{{RoleID: reader.ID, Permissions: []string{"audit:**"}}},
				Grant: []contract.BindingFields{{UserID: user, Role: "reader"}},
			}, false, true,
		},
		"without the module": {
			contract.SimulateRequest{BranchID: contract.ID(o.branch), ModuleStates: []contract.PolicyModule{{Name: "crm"}}}, true, false,
		},
		"with a module": {
			contract.SimulateRequest{
				Permission: "financial:accounts:read", ModuleStates: []contract.PolicyModule{{Name: "financial", Enabled: true}},
				Roles: []contract.SupposedRole{{RoleID: reader.ID, Permissions: []string{"financial:**"}}},
				Grant: []contract.BindingFields{{UserID: user, Role: "reader"}},
			}, false, true,
		},
	} {
		c.ask.UserID = contract.ID(user)
		if c.ask.Permission == "" {
			c.ask.Permission = "crm:deals:read"
		}
		got, err := o.Simulate(o.as(o.admin), &c.ask)
		require.NoError(t, err, name)
		require.Equal(t, []bool{c.before, c.after}, []bool{got.Before.Allowed, got.After.Allowed}, name)
		require.Equal(t, before.Revision(), got.Before.Revision)
	}
	_, err := o.Simulate(o.as(o.admin), &contract.SimulateRequest{
		UserID: contract.ID(user), Permission: "crm:deals:read", ModuleStates: []contract.PolicyModule{{Name: "crm"}, {Name: "invented"}},
	})
	require.Equal(t, &contract.Error{Code: contract.NotFound, Field: "modules[1].name", Message: "no such module"}, err)
	require.Same(t, before, o.Engine.Policy(o.tenant))
	require.Equal(t, digest, before.Digest())
	require.Len(t, o.events(), events)
	o.agrees()
}

// A simulation supposes what could be done: nothing of another tenant, and
// nothing that the change itself would be refused for.
func TestASimulationSupposesWhatThereIs(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := contract.ID(o.newTenant())
	user, stranger, role := o.user(), o.userOf(string(other)), o.role("reader", "crm:*:read").ID
	foreign, err := o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: other, Name: "theirs"})
	require.NoError(t, err)
	group, err := o.CreateGroup(o.service(), &contract.CreateGroupRequest{TenantID: other, Name: "theirs"})
	require.NoError(t, err)
	b := o.bind(contract.CreateBindingRequest{TenantID: other, UserID: contract.ID(stranger), RoleID: contract.ID(foreign.ID)})
	grant := func(f contract.BindingFields) contract.SimulateRequest {
		return contract.SimulateRequest{Grant: []contract.BindingFields{{UserID: user, RoleID: role}, f}}
	}
	past := time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		ask   contract.SimulateRequest
		code  contract.Code
		field string
	}{
		"role":       {contract.SimulateRequest{Roles: []contract.SupposedRole{{RoleID: role}, {RoleID: foreign.ID}}}, contract.NotFound, "roles[1].role_id"},
		"codes":      {contract.SimulateRequest{Roles: []contract.SupposedRole{{RoleID: role, Permissions: []string{"crm:deals:read", "x"}}}}, contract.InvalidArgument, "roles[0].permissions[1]"},
		"revoke":     {contract.SimulateRequest{Revoke: []string{b.ID}}, contract.NotFound, "revoke[0]"},
		"no binding": {contract.SimulateRequest{Revoke: []string{"it"}}, contract.InvalidArgument, "revoke[0]"},
		"join":       {contract.SimulateRequest{JoinGroups: []string{group.ID}}, contract.NotFound, "join_groups[0]"},
		"no group":   {contract.SimulateRequest{JoinGroups: []string{"us"}}, contract.InvalidArgument, "join_groups[0]"},
		"leave":      {contract.SimulateRequest{LeaveGroups: []string{group.ID}}, contract.NotFound, "leave_groups[0]"},
		"grant":      {grant(contract.BindingFields{UserID: user, RoleID: foreign.ID}), contract.NotFound, "grant[1].role_id"},
		"by name":    {grant(contract.BindingFields{UserID: user, Role: "theirs"}), contract.NotFound, "grant[1].role"},
		"to a group": {grant(contract.BindingFields{GroupID: group.ID, RoleID: role}), contract.NotFound, "grant[1].group_id"},
		"to a user":  {grant(contract.BindingFields{UserID: stranger, RoleID: role}), contract.NotFound, "grant[1].user_id"},
		"to nobody":  {grant(contract.BindingFields{RoleID: role}), contract.InvalidArgument, "grant[1].user_id"},
		"a unit":     {grant(contract.BindingFields{UserID: user, RoleID: role, UnitID: kit.NewID()}), contract.NotFound, "grant[1].unit_id"},
		"the past":   {grant(contract.BindingFields{UserID: user, RoleID: role, ExpiresAt: &past}), contract.InvalidArgument, "grant[1].expires_at"},
	} {
		c.ask.UserID, c.ask.Permission = contract.ID(user), "crm:deals:read"
		_, err := o.Simulate(o.as(o.admin), &c.ask)
		require.True(t, assertRefused(t, err, c.code, c.field, name))
	}
}

// Users of another tenant do not exist, whatever is asked about them.
func TestUsersOfAnotherTenantAreNotFound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := o.newTenant()
	both, deleted := kit.NewID(), kit.NewID()
	o.Directory.PutMember(contract.Member{UserID: both, TenantID: other, Tenants: []string{o.tenant}, Active: true, Revision: 1})
	o.Directory.PutMember(contract.Member{UserID: deleted, TenantID: o.tenant, Deleted: true, Revision: 1})
	ask := func(user string) (failures []error) {
		id := contract.ID(user)
		_, err := o.Explain(o.as(o.admin), &contract.ExplainRequest{UserID: id, Permission: "crm:deals:read"})
		failures = append(failures, err)
		_, err = o.Effective(o.as(o.admin), &contract.EffectiveRequest{UserID: id})
		failures = append(failures, err)
		_, err = o.Simulate(o.as(o.admin), &contract.SimulateRequest{UserID: id, Permission: "crm:deals:read"})
		return append(failures, err)
	}
	for _, user := range []string{o.userOf(other), kit.NewID(), deleted} {
		for _, err := range ask(user) {
			refuses(t, err, contract.NotFound, "")
		}
	}
	for _, err := range ask(both) {
		require.NoError(t, err, "a member of several tenants is known in each")
	}
	_, err := o.Explain(o.as(o.admin), &contract.ExplainRequest{UserID: contract.ID(o.admin), TenantID: contract.ID(other), Permission: "crm:deals:read"})
	refuses(t, err, contract.NotFound, "")
	_, err = o.WhoCan(o.as(o.admin), &contract.WhoCanRequest{TenantID: contract.ID(other), Permission: "crm:deals:read"})
	refuses(t, err, contract.NotFound, "")
}

// A platform administrator who acts in no tenant asks in the user's own.
func TestThePlatformAsksInTheUsersTenant(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	user := contract.ID(o.user("reader"))
	e, err := o.Explain(o.platform(""), &contract.ExplainRequest{UserID: user, Permission: "crm:deals:read"})
	require.NoError(t, err)
	require.True(t, e.Allowed)
	list, err := o.Effective(o.service(), &contract.EffectiveRequest{UserID: user})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
}

func TestQuestionsWaitForTheRevisionTheyName(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	user, next := contract.ID(o.user("auditor")), o.Engine.Policy(o.tenant).Revision()+1
	_, err := o.Effective(o.as(o.admin), &contract.EffectiveRequest{UserID: user, AtLeast: next})
	refuses(t, err, contract.Conflict, "at_least")
	got := make(chan int64, 1)
	go func() {
		e, err := o.Explain(o.as(o.admin), &contract.ExplainRequest{UserID: user, Permission: "crm:deals:read", AtLeast: next})
		if err != nil {
			t.Error(err)
			e = &contract.Explanation{}
		}
		got <- e.Revision
	}()
	o.role("reader", "crm:*:read")
	require.GreaterOrEqual(t, <-got, next)
}
