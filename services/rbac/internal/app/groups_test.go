package app

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func TestAGroupIsReadAsItWasMade(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	made, err := o.CreateGroup(o.as(o.admin), &contract.CreateGroupRequest{Name: "till", Title: " Till ", Description: "All who sit there."})
	require.NoError(t, err)
	require.Equal(t, contract.Group{
		ID: made.ID, Name: "till", Title: "Till", Description: "All who sit there.", Roles: []string{},
		UpdatedAt: made.UpdatedAt, Revision: o.Engine.Policy(o.tenant).Revision(),
	}, *made)
	read, err := o.GetGroup(o.as(o.admin), &contract.GroupRequest{GroupID: contract.ID(made.ID)})
	require.NoError(t, err)
	require.Equal(t, made, read)
	_, err = o.CreateGroup(o.as(o.admin), &contract.CreateGroupRequest{Name: "till"})
	refuses(t, err, contract.AlreadyExists, "name")
	o.agrees()
}

func TestAChangeOfAGroupFromAnOlderRevisionConflicts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, user := o.group("till", nil), o.user()
	id, title := contract.ID(first.ID), "Till"
	second, err := o.UpdateGroup(o.as(o.admin), &contract.UpdateGroupRequest{GroupID: id, Title: &title, Revision: first.Revision})
	require.NoError(t, err)
	require.Equal(t, "till", second.Name, "what is absent stays")
	require.Greater(t, second.Revision, first.Revision)
	same, err := o.UpdateGroup(o.as(o.admin), &contract.UpdateGroupRequest{GroupID: id, Title: &title, Revision: second.Revision})
	require.NoError(t, err)
	require.Equal(t, second, same, "nothing changed, so nothing happened")

	_, err = o.UpdateGroup(o.as(o.admin), &contract.UpdateGroupRequest{GroupID: id, Name: &title, Revision: first.Revision})
	refuses(t, err, contract.Conflict, "")
	_, err = o.ChangeGroupMembers(o.as(o.admin), &contract.ChangeGroupMembersRequest{GroupID: id, Add: []string{user}, Revision: first.Revision})
	refuses(t, err, contract.Conflict, "")
	for _, dry := range []bool{true, false} {
		_, err = o.DeleteGroup(o.as(o.admin), &contract.DeleteGroupRequest{GroupID: id, Revision: first.Revision, DryRun: dry})
		refuses(t, err, contract.Conflict, "")
	}
	taken := o.group("desk", nil)
	_, err = o.UpdateGroup(o.as(o.admin), &contract.UpdateGroupRequest{GroupID: contract.ID(taken.ID), Name: &first.Name})
	refuses(t, err, contract.AlreadyExists, "name")
	o.agrees()
}

func TestWhoJoinsAGroupHasItsRolesUntilTheyLeave(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	one, two := o.user(), o.user()
	id := contract.ID(o.group("readers", []string{one}, "reader").ID)
	require.True(t, o.may(one, "crm:deals:read"))
	require.False(t, o.may(two, "crm:deals:read"))

	changed, err := o.ChangeGroupMembers(o.as(o.admin), &contract.ChangeGroupMembersRequest{GroupID: id, Add: []string{two}, Remove: []string{one}})
	require.NoError(t, err)
	require.Equal(t, 1, changed.Members)
	require.False(t, o.may(one, "crm:deals:read"))
	require.True(t, o.may(two, "crm:deals:read"))

	again, err := o.ChangeGroupMembers(o.as(o.admin), &contract.ChangeGroupMembersRequest{GroupID: id, Add: []string{two}, Remove: []string{one}})
	require.NoError(t, err, "who is in, or out, already is no error")
	require.Equal(t, changed, again)
	o.agrees()
}

// All or nothing, and the answer says who is at fault.
func TestOnlyActiveMembersOfTheTenantJoinAGroup(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	user, stranger, suspended := o.user(), o.userOf(o.newTenant()), o.user()
	o.tells(o, suspended, 1000, func(m *contract.Member) { m.Active = false })
	id := contract.ID(o.group("readers", nil).ID)
	var waits sync.WaitGroup // some names are waited for
	for _, c := range []struct {
		add, remove []string
		code        contract.Code
		field       string
	}{
		{add: []string{user, stranger}, code: contract.NotFound, field: "add[1]"},
		{add: []string{user, suspended}, code: contract.NotFound, field: "add[1]"},
		{add: []string{user, kit.NewID()}, code: contract.NotFound, field: "add[1]"},
		{add: []string{user, "me"}, code: contract.InvalidArgument, field: "add[1]"},
		{add: []string{user, user}, code: contract.InvalidArgument, field: "add[1]"},
		{add: []string{user}, remove: []string{"me"}, code: contract.InvalidArgument, field: "remove[0]"},
		{add: []string{user}, remove: []string{stranger, user}, code: contract.InvalidArgument, field: "remove[1]"},
	} {
		waits.Go(func() {
			_, err := o.ChangeGroupMembers(o.as(o.admin), &contract.ChangeGroupMembersRequest{GroupID: id, Add: c.add, Remove: c.remove})
			assertRefused(t, err, c.code, c.field)
		})
	}
	waits.Wait()
	require.Zero(t, o.count("SELECT count(*) FROM members"))
}

// dry_run names what the deletion then takes away.
func TestDeletingAGroupSaysWhoLosesWhat(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	loser, keeper := o.user(), o.user("reader")
	id := contract.ID(o.group("readers", []string{loser, keeper}, "reader", "auditor").ID)
	before := o.Engine.Policy(o.tenant).Revision()
	audits := []string{"audit:*:read", "bindings:read:tenant", "groups:read:tenant", "roles:read:tenant", "users:read:tenant"}
	want := contract.Removal{DryRun: true, Revision: before, Bindings: 2, Users: 2, Losses: []contract.Loss{
		{UserID: loser, Permissions: append(audits[:2:2], append([]string{"crm:*:read"}, audits[2:]...)...)},
		{UserID: keeper, Permissions: audits},
	}}
	would, err := o.DeleteGroup(o.as(o.admin), &contract.DeleteGroupRequest{GroupID: id, DryRun: true})
	require.NoError(t, err)
	require.Equal(t, want, *would)
	require.Equal(t, before, o.Engine.Policy(o.tenant).Revision(), "it was only asked")

	did, err := o.DeleteGroup(o.as(o.admin), &contract.DeleteGroupRequest{GroupID: id})
	require.NoError(t, err)
	want.DryRun, want.Revision = false, before+1
	require.Equal(t, want, *did)
	require.False(t, o.may(loser, "crm:deals:read"))
	require.True(t, o.may(keeper, "crm:deals:read"))
	require.Zero(t, o.count("SELECT count(*) FROM members")+o.count("SELECT count(*) FROM bindings WHERE group_id IS NOT NULL"))
	_, err = o.GetGroup(o.as(o.admin), &contract.GroupRequest{GroupID: id})
	refuses(t, err, contract.NotFound, "")
	o.agrees()
}

func TestGroupsAndTheirMembersComeInPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var users, names []string
	for i := range 5 {
		users, names = append(users, o.user()), append(names, fmt.Sprintf("group-%d", i))
		o.group(names[i], users)
	}
	gone := o.group("group-x", nil)
	var got []string
	ask := contract.ListGroupsRequest{Limit: 2, Search: "GROUP-"}
	for {
		page, err := o.ListGroups(o.as(o.admin), &ask)
		require.NoError(t, err)
		for _, g := range page.Items {
			got = append(got, g.Name)
		}
		if ask.Cursor = page.NextCursor; ask.Cursor == "" {
			break
		}
		_, err = o.DeleteGroup(o.service(), &contract.DeleteGroupRequest{TenantID: o.id(), GroupID: contract.ID(gone.ID)})
		require.True(t, err == nil || len(got) > 2)
	}
	require.Equal(t, names, got)

	of, err := o.ListGroups(o.as(o.admin), &contract.ListGroupsRequest{UserID: contract.ID(users[3])})
	require.NoError(t, err)
	require.Len(t, of.Items, 2)
	require.Equal(t, []string{"group-3", "group-4"}, []string{of.Items[0].Name, of.Items[1].Name})

	var members []string
	who := contract.ListGroupMembersRequest{GroupID: contract.ID(of.Items[1].ID), Limit: 2}
	for {
		page, err := o.ListGroupMembers(o.as(o.admin), &who)
		require.NoError(t, err)
		members = append(members, page.UserIDs...)
		if who.Cursor = page.NextCursor; who.Cursor == "" {
			break
		}
	}
	require.Equal(t, users, members, "by id, and ids grow with time")
	who.Cursor = "nonsense"
	_, err = o.ListGroupMembers(o.as(o.admin), &who)
	refuses(t, err, contract.InvalidArgument, "cursor")
}

func TestGroupsOfAnotherTenantAreNotFound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := o.newTenant()
	foreign, err := o.CreateGroup(o.service(), &contract.CreateGroupRequest{TenantID: contract.ID(other), Name: "theirs"})
	require.NoError(t, err)
	id, title := contract.ID(foreign.ID), "stolen"
	for _, try := range map[string]func() error{
		"get": func() error { _, err := o.GetGroup(o.as(o.admin), &contract.GroupRequest{GroupID: id}); return err },
		"update": func() error {
			_, err := o.UpdateGroup(o.as(o.admin), &contract.UpdateGroupRequest{GroupID: id, Title: &title})
			return err
		},
		"delete": func() error {
			_, err := o.DeleteGroup(o.as(o.admin), &contract.DeleteGroupRequest{GroupID: id})
			return err
		},
		"dry run": func() error {
			_, err := o.DeleteGroup(o.as(o.admin), &contract.DeleteGroupRequest{GroupID: id, DryRun: true})
			return err
		},
		"members": func() error {
			_, err := o.ListGroupMembers(o.as(o.admin), &contract.ListGroupMembersRequest{GroupID: id})
			return err
		},
		"join": func() error {
			_, err := o.ChangeGroupMembers(o.as(o.admin), &contract.ChangeGroupMembersRequest{GroupID: id, Add: []string{o.admin}})
			return err
		},
	} {
		refuses(t, try(), contract.NotFound, "")
	}
	list, err := o.ListGroups(o.as(o.admin), &contract.ListGroupsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.Items)
	o.agrees(other)
}

// A group's answer tells its roles and how many belong to it, so all that
// changes those gives it a new revision, which is its ETag.
func TestAGroupsRevisionCoversAllThatIsToldOfIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role, user := o.role("reader", "crm:*:read"), o.user()
	seen := o.group("readers", nil)
	ask := &contract.GroupRequest{TenantID: o.id(), GroupID: contract.ID(seen.ID)}
	var bound *contract.Binding
	bind := func() { bound = o.bind(contract.CreateBindingRequest{GroupID: ask.GroupID, Role: "reader"}) }
	for _, c := range []struct {
		what string
		do   func()
	}{
		{"a binding", bind},
		{"its end", func() {
			_, err := o.DeleteBinding(o.service(), &contract.DeleteBindingRequest{TenantID: o.id(), BindingID: contract.ID(bound.ID)})
			require.NoError(t, err)
		}},
		{"a member", func() {
			_, err := o.ChangeGroupMembers(o.service(), &contract.ChangeGroupMembersRequest{TenantID: o.id(), GroupID: ask.GroupID, Add: []string{user}})
			require.NoError(t, err)
		}},
		{"a member who is deleted", func() {
			o.tells(o, user, 1000, func(m *contract.Member) { m.Active, m.Deleted = false, true })
		}},
		{"a binding again", bind},
		{"the role's end", func() {
			_, err := o.DeleteRole(o.service(), &contract.DeleteRoleRequest{TenantID: o.id(), RoleID: contract.ID(role.ID)})
			require.NoError(t, err)
		}},
	} {
		c.do()
		now, err := o.GetGroup(o.service(), ask)
		require.NoError(t, err)
		require.Greater(t, now.Revision, seen.Revision, c.what)
		seen = now
	}
	require.Empty(t, seen.Roles)
	o.agrees()
}
