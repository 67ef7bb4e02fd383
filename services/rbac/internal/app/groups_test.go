package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

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
