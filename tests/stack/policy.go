package stack

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// TenantAdministrator is the system role that holds everything in a tenant.
const TenantAdministrator = "tenant-administrator"

// PutRole makes a role of the tenant, or changes what it grants.
func (c *Company) PutRole(t testing.TB, role string, permissions ...string) contract.Role {
	t.Helper()
	made, err := kit.Call(Context(t), c.stack.Core, contract.CreateRole, &contract.CreateRoleRequest{
		TenantID: contract.ID(c.Tenant.ID), Name: role, Permissions: permissions,
	})
	if errors.Is(err, &contract.Error{Code: contract.AlreadyExists}) {
		return *Do(t, c.stack, contract.UpdateRole, &contract.UpdateRoleRequest{
			TenantID: contract.ID(c.Tenant.ID), RoleID: contract.ID(c.Role(t, role).ID), Permissions: &permissions,
		})
	}
	require.NoError(t, err)
	return *made
}

// Role finds a role of the tenant or of the platform by its name.
func (c *Company) Role(t testing.TB, name string) (found contract.Role) {
	t.Helper()
	for _, role := range Do(t, c.stack, contract.ListRoles, &contract.ListRolesRequest{
		TenantID: contract.ID(c.Tenant.ID), Search: name, Limit: 500,
	}).Items {
		if role.Name == name && (found.ID == "" || role.TenantID != "") {
			found = role
		}
	}
	require.NotEmpty(t, found.ID, name)
	return found
}

// Scope narrows or turns a binding.
type Scope func(*contract.CreateBindingRequest)

// InUnit is the scope of a company, branch or department with all below it.
func InUnit(id string) Scope {
	return func(r *contract.CreateBindingRequest) { r.UnitID = contract.ID(id) }
}

// OnResource is the scope of one resource.
func OnResource(kind, id string) Scope {
	return func(r *contract.CreateBindingRequest) { r.ResourceType, r.ResourceID = kind, contract.ID(id) }
}

// Until ends a binding.
func Until(at time.Time) Scope {
	return func(r *contract.CreateBindingRequest) { r.ExpiresAt = &at }
}

// Denied makes a binding take away what it would give.
func Denied(r *contract.CreateBindingRequest) { r.Effect = "deny" }

// Bind gives a user a role, by its name.
func (c *Company) Bind(t testing.TB, user, role string, scopes ...Scope) contract.Binding {
	t.Helper()
	return c.bind(t, &contract.CreateBindingRequest{UserID: contract.ID(user), Role: role}, scopes)
}

// BindGroup gives a group a role, by its name.
func (c *Company) BindGroup(t testing.TB, group, role string, scopes ...Scope) contract.Binding {
	t.Helper()
	return c.bind(t, &contract.CreateBindingRequest{GroupID: contract.ID(group), Role: role}, scopes)
}

func (c *Company) bind(t testing.TB, r *contract.CreateBindingRequest, scopes []Scope) contract.Binding {
	t.Helper()
	r.TenantID = contract.ID(c.Tenant.ID)
	for _, narrow := range scopes {
		narrow(r)
	}
	return *Do(t, c.stack, contract.CreateBinding, r)
}

// Unbind takes the role, by its name, from a user in every scope. It returns
// the revision from which on it is gone.
func (c *Company) Unbind(t testing.TB, user, role string) (revision int64) {
	t.Helper()
	for _, b := range Do(t, c.stack, contract.ListBindings, &contract.ListBindingsRequest{
		TenantID: contract.ID(c.Tenant.ID), UserID: contract.ID(user), Limit: 500,
	}).Items {
		if b.Role == role {
			revision = Do(t, c.stack, contract.DeleteBinding, &contract.DeleteBindingRequest{
				TenantID: contract.ID(c.Tenant.ID), BindingID: contract.ID(b.ID),
			}).Revision
		}
	}
	require.NotZero(t, revision, "%s has no binding to %s", user, role)
	return revision
}

// Group makes a group with members, by their ids.
func (c *Company) Group(t testing.TB, name string, members ...string) contract.Group {
	t.Helper()
	made := Do(t, c.stack, contract.CreateGroup, &contract.CreateGroupRequest{TenantID: contract.ID(c.Tenant.ID), Name: name})
	if len(members) == 0 {
		return *made
	}
	return *Do(t, c.stack, contract.ChangeGroupMembers, &contract.ChangeGroupMembersRequest{
		TenantID: contract.ID(c.Tenant.ID), GroupID: contract.ID(made.ID), Add: members,
	})
}

// Unit makes a company, branch or department; parent is empty for a company.
func (c *Company) Unit(t testing.TB, kind, parent string) (id string) {
	t.Helper()
	return Do(t, c.stack, contract.CreateUnit, &contract.CreateUnitRequest{
		TenantID: contract.ID(c.Tenant.ID), Kind: kind, ParentID: contract.ID(parent), Code: rand.Text(), Name: kind,
	}).ID
}
