package dev

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/cmd/buildify/demo"
	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// policy is all that there is to the demo's policy.
type policy struct {
	Roles    []contract.Role
	Groups   []contract.Group
	Bindings []contract.Binding
	Units    []contract.OrgUnit
	Declared []contract.Permission
}

func policyOf(t *testing.T, s *stack.Stack, tenant string) (p policy) {
	t.Helper()
	id := contract.ID(tenant)
	p.Roles = stack.Do(t, s, contract.ListRoles, &contract.ListRolesRequest{TenantID: id, Limit: 500}).Items
	p.Groups = stack.Do(t, s, contract.ListGroups, &contract.ListGroupsRequest{TenantID: id, Limit: 500}).Items
	p.Bindings = stack.Do(t, s, contract.ListBindings, &contract.ListBindingsRequest{TenantID: id, Limit: 500}).Items
	p.Units = stack.Do(t, s, contract.ListUnits, &contract.SnapshotRequest{}).Items
	p.Declared = stack.Do(t, s, contract.ListCatalogue, &contract.ListCatalogueRequest{TenantID: id, Module: "financial"}).Items
	return p
}

func TestTheDemosPolicyDecides(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	d, err := demo.Load(stack.Context(t), s.Core, filepath.Join(t.TempDir(), "demo.json"))
	require.NoError(t, err)
	units := map[string]string{"": ""}
	for _, u := range d.Units {
		require.NotEmpty(t, u.ID)
		units[u.Name] = u.ID
	}
	admin, anna, victor, nora, bruno := 0, 1, 2, 3, 4
	for _, c := range []struct {
		user             int
		permission, unit string
		want             bool
	}{
		{admin, "financial:invoices:write", "", true},
		{admin, "roles:create:tenant", "", true},
		{anna, "financial:accounts:write", "", true},
		{anna, "roles:create:tenant", "", false},
		{victor, "financial:accounts:read", "Berlin", true},
		{victor, "financial:accounts:write", "Berlin", false},
		{nora, "financial:accounts:read", "", false},
		{bruno, "financial:accounts:read", "", false},
		{bruno, "financial:accounts:read", "Berlin", false},
		{bruno, "financial:accounts:read", "Izmir", true},
		{bruno, "financial:accounts:read", "Izmir Sales", true},
		{bruno, "financial:accounts:write", "Izmir", false},
	} {
		answer := stack.Do(t, s, contract.CheckPermission, &contract.CheckRequest{
			UserID: contract.ID(d.Users[c.user].ID), Permission: c.permission, DepartmentID: contract.ID(units[c.unit]),
		})
		require.Equal(t, c.want, answer.Allowed, "%v", c)
	}
	p := policyOf(t, s, d.Tenant.ID)
	require.Len(t, p.Declared, 4)
	for _, declared := range p.Declared {
		require.NotEqual(t, declared.Code, declared.Title)
		require.True(t, declared.Effective)
	}
}

func TestLoadingTheDemoAgainChangesNothing(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	file := filepath.Join(t.TempDir(), "demo.json")
	first, err := demo.Load(stack.Context(t), s.Core, file)
	require.NoError(t, err)
	made := policyOf(t, s, first.Tenant.ID)
	require.Len(t, made.Bindings, 4)
	require.Len(t, made.Units, 4)
	require.Equal(t, 1, made.Groups[0].Members)
	again, err := demo.Load(stack.Context(t), s.Core, file)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, made, policyOf(t, s, first.Tenant.ID))

	// Cut off before its last step, and before the file was written again.
	cut := *first
	cut.Modules = []demo.Module{{Name: "financial"}}
	cut.Units = nil
	body, err := json.Marshal(cut)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, body, 0o600))
	resumed, err := demo.Load(stack.Context(t), s.Core, file)
	require.NoError(t, err)
	require.Equal(t, first.Units, resumed.Units)
	require.NotEmpty(t, resumed.Modules[0].APIKey)
	require.Equal(t, made, policyOf(t, s, first.Tenant.ID))
	// Of a finished demo, what somebody changed stays so.
	for _, b := range made.Bindings {
		if b.UserID == first.Users[2].ID {
			stack.Do(t, s, contract.DeleteBinding, &contract.DeleteBindingRequest{TenantID: contract.ID(first.Tenant.ID), BindingID: contract.ID(b.ID)})
		}
	}
	_, err = demo.Load(stack.Context(t), s.Core, file)
	require.NoError(t, err)
	require.Len(t, policyOf(t, s, first.Tenant.ID).Bindings, len(made.Bindings)-1)
}
