package coretest

import (
	"time"

	"github.com/buildify/core/pkg/contract"
)

// Tenant is the id of a tenant.
func Tenant(n int) string { return ID(1, n) }

// Role is the id of a role.
func Role(n int) string { return ID(2, n) }

// User is the id of a user.
func User(n int) string { return ID(3, n) }

// Binding is the id of a binding.
func Binding(n int) string { return ID(4, n) }

// Unit is the id of a unit.
func Unit(n int) string { return ID(5, n) }

// Basics make a tenant active, with the module enabled and a role, number 1,
// that grants what codes say.
func (c *Core) Basics(codes ...string) []contract.PolicyChange {
	return []contract.PolicyChange{
		{Tenant: &contract.PolicyTenant{Active: true}},
		{Module: &contract.PolicyModule{Name: c.Module, Enabled: true}},
		{Role: &contract.PolicyRole{ID: Role(1), Permissions: codes}},
	}
}

// Grant binds a user to role 1, by a binding of the user's number.
func Grant(user int) contract.PolicyChange {
	return contract.PolicyChange{Binding: &contract.PolicyBinding{ID: Binding(user), UserID: User(user), RoleID: Role(1)}}
}

// GrantUntil is Grant with an end.
func GrantUntil(user int, end time.Time) contract.PolicyChange {
	change := Grant(user)
	change.Binding.ExpiresAt = &end
	return change
}

// Revoke takes Grant back.
func Revoke(user int) contract.PolicyChange {
	return contract.PolicyChange{Binding: &contract.PolicyBinding{ID: Binding(user), UserID: User(user), RoleID: Role(1), Removed: true}}
}
