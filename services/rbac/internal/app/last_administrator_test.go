package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// administration is the binding that makes a user tenant administrator.
func (o *office) administration(user string) string {
	o.t.Helper()
	list, err := o.ListBindings(o.service(), &contract.ListBindingsRequest{TenantID: o.id(), UserID: contract.ID(user), RoleID: TenantAdministrator})
	require.NoError(o.t, err)
	require.Len(o.t, list.Items, 1)
	return list.Items[0].ID
}

// Not even the platform takes the last administrator away by what it binds.
func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	own, soon, denied := o.administration(o.admin), time.Now().Add(time.Hour), o.group("denied", nil)
	o.bind(contract.CreateBindingRequest{GroupID: contract.ID(denied.ID), Role: "reader", Effect: "deny"})
	// None of these stands in for them.
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(o.user()), Role: "tenant-administrator", ExpiresAt: &soon})
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(o.user()), Role: "tenant-administrator", UnitID: contract.ID(o.company)})
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(o.user()), Role: "tenant-administrator", ResourceType: "deal", ResourceID: "7"})
	o.group("nobody", nil, "tenant-administrator")
	suspended := o.user("tenant-administrator")
	o.tells(o, suspended, 1000, func(m *contract.Member) { m.Active = false })
	before := o.Engine.Policy(o.tenant).Revision()
	for name, try := range map[string]func() error{
		"unbound": func() error {
			_, err := o.DeleteBinding(o.service(), &contract.DeleteBindingRequest{TenantID: o.id(), BindingID: contract.ID(own)})
			return err
		},
		"unbound among others": func() error {
			_, err := o.ChangeBindings(o.service(), &contract.ChangeBindingsRequest{
				TenantID: o.id(), Revoke: []string{own}, Grant: []contract.BindingFields{{UserID: o.admin, Role: "reader"}},
			})
			return err
		},
		"bound for an hour": func() error {
			_, err := o.UpdateBinding(o.service(), &contract.UpdateBindingRequest{TenantID: o.id(), BindingID: contract.ID(own), ExpiresAt: &soon})
			return err
		},
		"denied": func() error {
			_, err := o.CreateBinding(o.service(), &contract.CreateBindingRequest{TenantID: o.id(), UserID: contract.ID(o.admin), Role: "reader", Effect: "deny"})
			return err
		},
		"denied by a group": func() error {
			_, err := o.ChangeGroupMembers(o.service(), &contract.ChangeGroupMembersRequest{TenantID: o.id(), GroupID: contract.ID(denied.ID), Add: []string{o.admin}})
			return err
		},
	} {
		require.True(t, assertRefused(t, try(), contract.Conflict, "", name))
		require.Equal(t, before, o.Engine.Policy(o.tenant).Revision(), name)
	}
	_, err := o.CreateBinding(o.as(o.admin), &contract.CreateBindingRequest{
		UserID: contract.ID(o.admin), Role: "reader", Effect: "deny", UnitID: contract.ID(o.branch),
	})
	require.NoError(t, err, "a deny in a branch leaves the tenant to them")
	o.agrees()
}

func TestTheLastAdministratorByAGroupStays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	user := o.user()
	group := contract.ID(o.group("administrators", []string{user}, "tenant-administrator").ID)
	_, err := o.DeleteBinding(o.as(user), &contract.DeleteBindingRequest{BindingID: contract.ID(o.administration(o.admin))})
	require.NoError(t, err, "there is another one")
	list, err := o.ListBindings(o.service(), &contract.ListBindingsRequest{TenantID: o.id(), GroupID: group})
	require.NoError(t, err)
	before := o.Engine.Policy(o.tenant).Revision()
	_, err = o.ChangeGroupMembers(o.as(user), &contract.ChangeGroupMembersRequest{GroupID: group, Remove: []string{user}})
	refuses(t, err, contract.Conflict, "")
	_, err = o.DeleteGroup(o.as(user), &contract.DeleteGroupRequest{GroupID: group})
	refuses(t, err, contract.Conflict, "")
	_, err = o.DeleteBinding(o.as(user), &contract.DeleteBindingRequest{BindingID: contract.ID(list.Items[0].ID)})
	refuses(t, err, contract.Conflict, "")
	require.Equal(t, before, o.Engine.Policy(o.tenant).Revision())

	_, err = o.ChangeGroupMembers(o.as(user), &contract.ChangeGroupMembersRequest{GroupID: group, Add: []string{o.admin}, Remove: []string{user}})
	require.NoError(t, err, "one for the other")
	o.agrees()
}

func TestAnAdministratorHandsOverInOneGo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	heir, own := o.user(), o.administration(o.admin)
	_, err := o.ChangeBindings(o.as(o.admin), &contract.ChangeBindingsRequest{
		Revoke: []string{own}, Grant: []contract.BindingFields{{UserID: heir, Role: "tenant-administrator"}},
	})
	require.NoError(t, err)
	require.True(t, o.may(heir, "roles:update:tenant"))
	require.False(t, o.may(o.admin, "roles:update:tenant"))
	o.agrees()
}

// A tenant that nobody administers, as one that was just made, can be changed.
func TestATenantWithoutAnAdministratorCanBeChanged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := contract.ID(o.newTenant())
	user := o.userOf(string(other), "auditor")
	list, err := o.ListBindings(o.service(), &contract.ListBindingsRequest{TenantID: other, UserID: contract.ID(user)})
	require.NoError(t, err)
	_, err = o.DeleteBinding(o.service(), &contract.DeleteBindingRequest{TenantID: other, BindingID: contract.ID(list.Items[0].ID)})
	require.NoError(t, err)
	o.agrees(string(other))
}
