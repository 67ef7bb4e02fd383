package app

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func TestARoleIsReadAsItWasMade(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made, err := o.CreateRole(o.as(o.admin), &contract.CreateRoleRequest{
		Name: "cashier", Title: " Cashier ", Description: "Sits at the till.", Permissions: []string{"crm:notes:read", "crm:deals:*", "crm:notes:read"},
	})
	require.NoError(t, err)
	require.Equal(t, contract.Role{
		ID: made.ID, TenantID: o.tenant, Name: "cashier", Title: "Cashier", Description: "Sits at the till.",
		Permissions: []string{"crm:deals:*", "crm:notes:read"}, UpdatedAt: made.UpdatedAt, Revision: o.Engine.Policy(o.tenant).Revision(),
	}, *made)
	read, err := o.GetRole(o.as(o.admin), &contract.RoleRequest{RoleID: contract.ID(made.ID)})
	require.NoError(t, err)
	require.Equal(t, made, read)
	o.agrees()
}

func TestTheCodesOfARoleAreChecked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role := contract.ID(o.role("reader", "crm:*:read").ID)
	for _, code := range []string{"", "crm", "crm:", "CRM:deals:read", "crm:**:read", "crm:deals:r*", "a:b:c:d:e:f", "crm:deals:read ", "**", "*"} {
		codes := []string{"crm:deals:read", code}
		_, err := o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: o.id(), Name: "wrong", Permissions: codes})
		refuses(t, err, contract.InvalidArgument, "permissions[1]")
		_, err = o.UpdateRole(o.service(), &contract.UpdateRoleRequest{TenantID: o.id(), RoleID: role, Permissions: &codes})
		refuses(t, err, contract.InvalidArgument, "permissions[1]")
	}
	require.Equal(t, 1, o.count("SELECT count(*) FROM roles WHERE NOT system"))
}

// A tenant's role cannot pass for one of the platform's, nor for another of its own.
func TestTheNameOfARoleIsItsOwn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	reader, writer := o.role("reader", "crm:*:read"), o.role("writer", "crm:*:write")
	for _, name := range []string{"reader", "auditor"} {
		_, err := o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: o.id(), Name: name})
		refuses(t, err, contract.AlreadyExists, "name")
		_, err = o.CloneRole(o.service(), &contract.CloneRoleRequest{TenantID: o.id(), RoleID: contract.ID(reader.ID), Name: name})
		refuses(t, err, contract.AlreadyExists, "name")
		_, err = o.UpdateRole(o.service(), &contract.UpdateRoleRequest{TenantID: o.id(), RoleID: contract.ID(writer.ID), Name: &name})
		refuses(t, err, contract.AlreadyExists, "name")
	}
	other := o.newTenant()
	_, err := o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: contract.ID(other), Name: "reader"})
	require.NoError(t, err, "a name is taken in its tenant only")
	o.agrees(other)
}

func TestSystemRolesCannotBeChanged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	title := "Mine"
	for name, ctx := range map[string]context.Context{"administrator": o.as(o.admin), "platform": o.platform(o.tenant)} {
		_, err := o.UpdateRole(ctx, &contract.UpdateRoleRequest{RoleID: TenantAdministrator, Title: &title})
		refuses(t, err, contract.Conflict, "")
		for _, dry := range []bool{true, false} {
			_, err = o.DeleteRole(ctx, &contract.DeleteRoleRequest{RoleID: TenantAdministrator, DryRun: dry})
			refuses(t, err, contract.Conflict, "")
		}
		clone, err := o.CloneRole(ctx, &contract.CloneRoleRequest{RoleID: TenantAdministrator, Name: name + "-s-own"})
		require.NoError(t, err, name)
		require.False(t, clone.System)
		require.Equal(t, []string{"*:**"}, clone.Permissions)
		require.Equal(t, o.tenant, clone.TenantID)
	}
}

func TestAnUpdateOfARoleTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role := o.role("reader", "crm:*:read")
	user := o.user("reader")
	codes, title := []string{"crm:*:write"}, "Writer"
	updated, err := o.UpdateRole(o.as(o.admin), &contract.UpdateRoleRequest{RoleID: contract.ID(role.ID), Permissions: &codes, Title: &title})
	require.NoError(t, err)
	require.Equal(t, "reader", updated.Name, "what is absent stays")
	require.Equal(t, codes, updated.Permissions)
	require.Greater(t, updated.Revision, role.Revision)
	require.False(t, o.may(user, "crm:deals:read"))
	require.True(t, o.may(user, "crm:deals:write"))

	again, err := o.UpdateRole(o.as(o.admin), &contract.UpdateRoleRequest{RoleID: contract.ID(role.ID), Permissions: &codes, Title: &title})
	require.NoError(t, err)
	require.Equal(t, updated, again, "nothing changed, so nothing happened")
	o.agrees()
}

func TestAChangeOfARoleFromAnOlderRevisionConflicts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role, title := o.role("reader", "crm:*:read"), "Reader"
	_, err := o.UpdateRole(o.service(), &contract.UpdateRoleRequest{TenantID: o.id(), RoleID: contract.ID(role.ID), Title: &title, Revision: role.Revision})
	require.NoError(t, err)
	_, err = o.UpdateRole(o.service(), &contract.UpdateRoleRequest{TenantID: o.id(), RoleID: contract.ID(role.ID), Title: &role.Name, Revision: role.Revision})
	refuses(t, err, contract.Conflict, "")
	for _, dry := range []bool{true, false} {
		_, err = o.DeleteRole(o.service(), &contract.DeleteRoleRequest{TenantID: o.id(), RoleID: contract.ID(role.ID), Revision: role.Revision, DryRun: dry})
		refuses(t, err, contract.Conflict, "")
	}
}

// dry_run names what the deletion then takes away.
func TestDeletingARoleSaysWhoLosesWhat(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role := o.role("reader", "crm:*:read", "users:read:tenant", "financial:accounts:read")
	o.role("users", "users:**")
	loser, keeper, member, partly := o.user("reader"), o.user("reader", "tenant-administrator"), o.user(), o.user("reader", "users")
	o.group("readers", []string{member, keeper}, "reader")
	suspended := o.user("reader")
	o.tells(o, suspended, 1000, func(m *contract.Member) { m.Active = false })
	before := o.Engine.Policy(o.tenant).Revision()

	ask := contract.DeleteRoleRequest{RoleID: contract.ID(role.ID), DryRun: true}
	would, err := o.DeleteRole(o.as(o.admin), &ask)
	require.NoError(t, err)
	want := []contract.Loss{
		{UserID: loser, Permissions: []string{"crm:*:read", "users:read:tenant"}},
		{UserID: member, Permissions: []string{"crm:*:read", "users:read:tenant"}},
		{UserID: partly, Permissions: []string{"crm:*:read"}},
	}
	require.Equal(t, contract.Removal{DryRun: true, Revision: before, Bindings: 5, Users: 3, Losses: want}, *would,
		"financial is not enabled, and the suspended have nothing to lose")
	require.Equal(t, before, o.Engine.Policy(o.tenant).Revision(), "it was only asked")
	require.True(t, o.may(loser, "crm:deals:read"))

	ask.DryRun = false
	did, err := o.DeleteRole(o.as(o.admin), &ask)
	require.NoError(t, err)
	require.Equal(t, contract.Removal{Revision: before + 1, Bindings: 5, Users: 3, Losses: want}, *did)
	require.False(t, o.may(loser, "crm:deals:read"))
	require.True(t, o.may(keeper, "crm:deals:read"))
	require.Zero(t, o.count("SELECT count(*) FROM bindings WHERE role_id = $1", role.ID))
	_, err = o.GetRole(o.as(o.admin), &contract.RoleRequest{RoleID: ask.RoleID})
	refuses(t, err, contract.NotFound, "")
	_, err = o.DeleteRole(o.as(o.admin), &ask)
	refuses(t, err, contract.NotFound, "")
	o.agrees()
}

// Who else is given what a role gives, or is denied it, loses nothing with it.
func TestOnlyWhatNothingElseGivesIsLost(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role := o.role("reader", "crm:*:read")
	o.role("all", "crm:**")
	for name, more := range map[string]contract.CreateBindingRequest{
		"another role":      {Role: "all"},
		"it in a branch":    {Role: "all", UnitID: contract.ID(o.branch)},
		"denied everywhere": {Role: "all", Effect: "deny"},
	} {
		more.UserID = contract.ID(o.user("reader"))
		o.bind(more)
		removal, err := o.DeleteRole(o.as(o.admin), &contract.DeleteRoleRequest{RoleID: contract.ID(role.ID), DryRun: true})
		require.NoError(t, err)
		require.Zero(t, removal.Users, name)
		require.Equal(t, []contract.Loss{}, removal.Losses, name)
	}
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(o.user("reader")), Role: "all", UnitID: contract.ID(o.branch), Effect: "deny"})
	removal, err := o.DeleteRole(o.as(o.admin), &contract.DeleteRoleRequest{RoleID: contract.ID(role.ID), DryRun: true})
	require.NoError(t, err)
	require.Equal(t, 1, removal.Users, "a deny in a branch leaves something to lose")
}

// The first hundred are named, all are counted; and so many bindings are told as
// one: their role is gone.
func TestTheEndOfARoleOfThousandsIsOneShortStep(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role := o.role("reader", "crm:*:read")
	o.exec(`INSERT INTO bindings (id, tenant_id, user_id, role_id, revision)
		SELECT gen_random_uuid(), $1, gen_random_uuid(), $2, 1 FROM generate_series(1, $3)`, o.tenant, role.ID, maxEnded+1)
	o.reload()
	removal, err := o.DeleteRole(o.as(o.admin), &contract.DeleteRoleRequest{RoleID: contract.ID(role.ID)})
	require.NoError(t, err)
	require.Equal(t, maxEnded+1, removal.Users)
	require.Len(t, removal.Losses, maxLosses)
	require.True(t, slices.IsSortedFunc(removal.Losses, func(a, b contract.Loss) int {
		if a.UserID < b.UserID {
			return -1
		}
		return 1
	}))
	steps := o.steps(o.tenant)
	require.Len(t, steps[len(steps)-1].Changes, 1)
	require.Equal(t, 1, o.count("SELECT count(*) FROM bindings"), "the administrator's is left")
	o.agrees()
}

func TestRolesComeInPagesWhileOthersComeAndGo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	want := []string{"auditor", "tenant-administrator", "user-administrator"}
	for i := range 7 {
		want = append(want, o.role(fmt.Sprintf("role-%d", i)).Name)
	}
	slices.Sort(want)
	passing := o.role("passing")
	var got []string
	ask := contract.ListRolesRequest{Limit: 3}
	for pages := 0; ; pages++ {
		page, err := o.ListRoles(o.as(o.admin), &ask)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), 3)
		for _, role := range page.Items {
			if role.Name != "passing" && role.Name != "another" {
				got = append(got, role.Name)
			}
		}
		switch pages {
		case 0:
			_, err = o.DeleteRole(o.service(), &contract.DeleteRoleRequest{TenantID: o.id(), RoleID: contract.ID(passing.ID)})
		case 1:
			_, err = o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: o.id(), Name: "another"})
		}
		require.NoError(t, err)
		if ask.Cursor = page.NextCursor; ask.Cursor == "" {
			break
		}
	}
	require.Equal(t, want, got, "each once, in the order of their names")
	_, err := o.ListRoles(o.as(o.admin), &contract.ListRolesRequest{Cursor: "nonsense"})
	refuses(t, err, contract.InvalidArgument, "cursor")
}

func TestRolesAreFound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	_, err := o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: o.id(), Name: "till", Title: "Kasse 100% Übersicht", Permissions: []string{"crm:deals:write"}})
	require.NoError(t, err)
	_, err = o.CreateRole(o.service(), &contract.CreateRoleRequest{Platform: true, Name: "guest"})
	require.NoError(t, err)
	_, err = o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: contract.ID(o.newTenant()), Name: "foreign", Permissions: []string{"crm:deals:write"}})
	require.NoError(t, err)
	for _, c := range []struct {
		ask  contract.ListRolesRequest
		want []string
	}{
		{contract.ListRolesRequest{Search: "READ"}, []string{"reader"}},
		{contract.ListRolesRequest{Search: "übersicht"}, []string{"till"}},
		{contract.ListRolesRequest{Search: "100%"}, []string{"till"}},
		{contract.ListRolesRequest{Search: "%"}, []string{"till"}},
		{contract.ListRolesRequest{Search: "_"}, []string{}},
		{contract.ListRolesRequest{Search: "foreign"}, []string{}},
		{contract.ListRolesRequest{Kind: "tenant"}, []string{"reader", "till"}},
		{contract.ListRolesRequest{Kind: "platform"}, []string{"guest"}},
		{contract.ListRolesRequest{Kind: "system"}, []string{"auditor", "tenant-administrator", "user-administrator"}},
		{contract.ListRolesRequest{Permission: "crm:deals:write"}, []string{"tenant-administrator", "till"}},
		{contract.ListRolesRequest{Permission: "crm:deals:write", Kind: "tenant", Search: "kasse"}, []string{"till"}},
	} {
		page, err := o.ListRoles(o.as(o.admin), &c.ask)
		require.NoError(t, err)
		got := []string{}
		for _, role := range page.Items {
			got = append(got, role.Name)
		}
		require.Equal(t, c.want, got, "%+v", c.ask)
	}
	first, err := o.ListRoles(o.as(o.admin), &contract.ListRolesRequest{Permission: "crm:deals:write", Limit: 1})
	require.NoError(t, err)
	second, err := o.ListRoles(o.as(o.admin), &contract.ListRolesRequest{Permission: "crm:deals:write", Limit: 1, Cursor: first.NextCursor})
	require.NoError(t, err)
	require.Equal(t, "till", second.Items[0].Name)
	require.Empty(t, second.NextCursor)
	_, err = o.ListRoles(o.as(o.admin), &contract.ListRolesRequest{Permission: "crm:*"})
	refuses(t, err, contract.InvalidArgument, "permission")
}

func TestRolesOfAnotherTenantAreNotFound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := o.newTenant()
	foreign, err := o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: contract.ID(other), Name: "theirs", Permissions: []string{"crm:*:read"}})
	require.NoError(t, err)
	own, id, title := o.role("mine", "crm:*:read"), contract.ID(foreign.ID), "stolen"
	for _, try := range map[string]func() error{
		"get": func() error { _, err := o.GetRole(o.as(o.admin), &contract.RoleRequest{RoleID: id}); return err },
		"update": func() error {
			_, err := o.UpdateRole(o.as(o.admin), &contract.UpdateRoleRequest{RoleID: id, Title: &title})
			return err
		},
		"delete": func() error {
			_, err := o.DeleteRole(o.as(o.admin), &contract.DeleteRoleRequest{RoleID: id})
			return err
		},
		"dry run": func() error {
			_, err := o.DeleteRole(o.as(o.admin), &contract.DeleteRoleRequest{RoleID: id, DryRun: true})
			return err
		},
		"clone": func() error {
			_, err := o.CloneRole(o.as(o.admin), &contract.CloneRoleRequest{RoleID: id, Name: "copy"})
			return err
		},
		"compare": func() error {
			_, err := o.CompareRoles(o.as(o.admin), &contract.CompareRolesRequest{RoleID: contract.ID(own.ID), OtherID: id})
			return err
		},
		"their tenant": func() error {
			_, err := o.ListRoles(o.as(o.admin), &contract.ListRolesRequest{TenantID: contract.ID(other)})
			return err
		},
		"no such tenant": func() error {
			_, err := o.CreateRole(o.as(o.admin), &contract.CreateRoleRequest{TenantID: contract.ID(kit.NewID()), Name: "lost"})
			return err
		},
	} {
		refuses(t, try(), contract.NotFound, "")
	}
	o.agrees(other)
}

// A role of the platform changes in each tenant that binds it, in one go.
func TestARoleOfThePlatformChangesInAllTenants(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := o.newTenant()
	_, err := o.CreateRole(o.as(o.admin), &contract.CreateRoleRequest{Platform: true, Name: "guest"})
	refuses(t, err, contract.PermissionDenied, "")
	_, err = o.CreateRole(o.service(), &contract.CreateRoleRequest{Platform: true, TenantID: o.id(), Name: "guest"})
	refuses(t, err, contract.InvalidArgument, "tenant_id")
	made, err := o.CreateRole(o.platform(""), &contract.CreateRoleRequest{Platform: true, Name: "guest", Permissions: []string{"users:read:tenant"}})
	require.NoError(t, err)
	require.Empty(t, made.TenantID)
	id := contract.ID(made.ID)
	user, stranger := o.user("guest"), o.userOf(other, "guest")

	codes := []string{"groups:read:tenant"}
	_, err = o.UpdateRole(o.as(o.admin), &contract.UpdateRoleRequest{RoleID: id, Permissions: &codes})
	refuses(t, err, contract.PermissionDenied, "")
	_, err = o.DeleteRole(o.as(o.admin), &contract.DeleteRoleRequest{RoleID: id})
	refuses(t, err, contract.PermissionDenied, "")
	updated, err := o.UpdateRole(o.platform(o.tenant), &contract.UpdateRoleRequest{RoleID: id, Permissions: &codes, Revision: made.Revision})
	require.NoError(t, err)
	require.Greater(t, updated.Revision, made.Revision)
	require.False(t, o.may(user, "users:read:tenant"))
	require.True(t, o.may(user, "groups:read:tenant"))
	_, err = o.UpdateRole(o.platform(""), &contract.UpdateRoleRequest{RoleID: id, Permissions: &codes, Revision: made.Revision})
	refuses(t, err, contract.Conflict, "")
	o.agrees(other)

	would, err := o.DeleteRole(o.platform(""), &contract.DeleteRoleRequest{RoleID: id, DryRun: true})
	require.NoError(t, err)
	require.Equal(t, 2, would.Bindings)
	require.Equal(t, []contract.Loss{{UserID: user, Permissions: codes}, {UserID: stranger, Permissions: codes}}, would.Losses)
	did, err := o.DeleteRole(o.platform(o.tenant), &contract.DeleteRoleRequest{RoleID: id})
	require.NoError(t, err)
	require.Equal(t, would.Losses, did.Losses)
	require.Equal(t, o.Engine.Policy(o.tenant).Revision(), did.Revision)
	require.False(t, o.may(user, "groups:read:tenant"))
	o.agrees(other)
}

func TestRolesAreCompared(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.declare("crm", "crm:deals:read", "crm:deals:write", "crm:notes:read")
	one, other := o.role("one", "crm:*:read", "crm:deals:write"), o.role("other", "crm:deals:*")
	got, err := o.CompareRoles(o.as(o.admin), &contract.CompareRolesRequest{RoleID: contract.ID(one.ID), OtherID: contract.ID(other.ID)})
	require.NoError(t, err)
	require.Equal(t, contract.RoleComparison{
		Codes: contract.Comparison{Role: []string{"crm:*:read", "crm:deals:write"}, Other: []string{"crm:deals:*"}, Both: []string{}},
		Permissions: contract.Comparison{
			Role: []string{"crm:notes:read"}, Other: []string{}, Both: []string{"crm:deals:read", "crm:deals:write"},
		},
	}, *got)
}

func TestTheMatrixShowsWhichRoleGrantsWhat(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.declare("crm", "crm:notes:read", "crm:deals:write")
	o.role("reader", "crm:*:read")
	m, err := o.RoleMatrix(o.as(o.admin), &contract.RoleMatrixRequest{Module: "crm"})
	require.NoError(t, err)
	var names []string
	for _, role := range m.Roles {
		names = append(names, role.Name)
	}
	require.Equal(t, []string{"auditor", "reader", "tenant-administrator", "user-administrator"}, names)
	require.Equal(t, []contract.MatrixRow{
		{Permission: "crm:deals:write", Granted: []bool{false, false, true, false}},
		{Permission: "crm:notes:read", Granted: []bool{false, true, true, false}},
	}, m.Rows)
	all, err := o.RoleMatrix(o.as(o.admin), &contract.RoleMatrixRequest{})
	require.NoError(t, err)
	require.Equal(t, "audit:alerts:manage", all.Rows[0].Permission, "the platform's own come first")
	require.Equal(t, m.Rows, all.Rows[len(all.Rows)-2:])
}
