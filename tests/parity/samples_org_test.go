package parity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// orgSamples are of companies, branches and departments.
func orgSamples() map[string]sample {
	return map[string]sample{
		"tenant.org_tree": aboutUnit(func(*testing.T, *fixture, *contract.OrgUnit) fields {
			return fields{"depth": 2}
		}, func(t *testing.T, f *fixture, got map[string]any) {
			one(t, f, got)
			require.Equal(t, true, got["complete"])
		}),
		"tenant.search_units": {request: func(t *testing.T, f *fixture) request {
			return fields{"kind": "department", "search": newUnit(t, f, f.ours).Code, "limit": 5}.request()
		}, want: one},
		"tenant.my_units": {request: func(t *testing.T, f *fixture) request {
			newUnit(t, f, f.ours)
			return request{fields{"permission": "org:read:tenant", "kind": "department", "limit": 1}.body(), f.tokens.master}
		}, want: one},
		"tenant.get_unit": aboutUnit(nil, func(t *testing.T, f *fixture, got map[string]any) {
			unit, _ := got["unit"].(map[string]any)
			require.Equal(t, f.ours.Tenant.ID, unit["tenant_id"])
			require.Len(t, got["path"], 2)
		}),
		"tenant.create_unit": {request: func(_ *testing.T, f *fixture) request {
			return fields{"kind": "company", "code": fresh(), "name": "Made by the table", "head_user_id": f.ours.Reader.ID}.request()
		}, want: func(t *testing.T, f *fixture, got map[string]any) {
			require.Equal(t, []any{f.ours.Tenant.ID, f.ours.Reader.ID}, []any{got["tenant_id"], got["head_user_id"]})
		}},
		"tenant.update_unit": aboutUnit(func(*testing.T, *fixture, *contract.OrgUnit) fields {
			return fields{"name": "Renamed", "head_user_id": nil}
		}, has("name", "Renamed")),
		"tenant.move_unit": aboutUnit(func(t *testing.T, f *fixture, _ *contract.OrgUnit) fields {
			return fields{"parent_id": f.ours.Unit(t, contract.Company, "")}
		}, has("kind", contract.Department)),
		"tenant.delete_unit": aboutUnit(func(_ *testing.T, _ *fixture, made *contract.OrgUnit) fields {
			if made == nil {
				return fields{}
			}
			return fields{"with_below": true, "revision": made.Revision}
		}, has("units", 1.)),
		"tenant.restore_unit": aboutMade("unit_id", newRemovedUnit, idOfUnit, func(*testing.T, *fixture, *contract.OrgUnit) fields {
			return fields{"with_below": true}
		}, has("kind", contract.Department)),
		"rbac.may_move_unit": {request: func(t *testing.T, f *fixture) request {
			enters := []string{newUnit(t, f, f.ours).ID}
			return fields{"tenant_id": f.ours.Tenant.ID, "unit_id": newUnit(t, f, f.ours).ID, "by_user_id": f.master.ID, "enters": enters}.request()
		}},
		"tenant.list_units": {request: func(t *testing.T, f *fixture) request {
			newUnit(t, f, f.ours)
			return request{body: "{}"}
		}},
	}
}

// aboutUnit samples what is done with a department.
func aboutUnit(more func(*testing.T, *fixture, *contract.OrgUnit) fields, want func(*testing.T, *fixture, map[string]any)) sample {
	return aboutMade("unit_id", newUnit, idOfUnit, more, want)
}

func idOfUnit(u contract.OrgUnit) string { return u.ID }

// newUnit makes a department in a company of its own.
func newUnit(t *testing.T, f *fixture, c *stack.Company) contract.OrgUnit {
	t.Helper()
	return *stack.Do(t, f.s, contract.CreateUnit, &contract.CreateUnitRequest{
		TenantID: contract.ID(c.Tenant.ID), Kind: contract.Department, ParentID: contract.ID(c.Unit(t, contract.Company, "")),
		Code: fresh(), Name: "Made for the table",
	})
}

func newRemovedUnit(t *testing.T, f *fixture, c *stack.Company) contract.OrgUnit {
	t.Helper()
	unit := newUnit(t, f, c)
	stack.Do(t, f.s, contract.DeleteUnit, &contract.DeleteUnitRequest{TenantID: contract.ID(c.Tenant.ID), UnitID: contract.ID(unit.ID)})
	return unit
}
