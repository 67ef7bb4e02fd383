package parity

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// coreSamples are of tenant and audit.
func coreSamples() map[string]sample {
	return map[string]sample{
		"audit.log": aboutUser(func(*fixture) fields {
			return fields{
				"action": "table.sample", "resource_type": "sample", "resource_id": 17, "details": fields{"total": 12.5},
				"outcome": "failure", "reason": "too much", "address": "203.0.113.7", "agent": "curl/8",
				"changes": []fields{{"field": "total", "before": 1, "after": nil}, {"field": "note", "after": "new"}},
			}
		}, func(t *testing.T, _ *fixture, got map[string]any) { require.Equal(t, "logged", got["status"]) }),
		"audit.list": {
			request: func(_ *testing.T, f *fixture) request {
				return fields{"user_id": f.ours.Nobody.ID, "action": "company.ready", "limit": 1}.request()
			},
			elsewhere: &contract.Error{Code: contract.PermissionDenied, Field: "tenant_id"},
		},
		"audit.list_calls": {
			request: func(_ *testing.T, f *fixture) request {
				return fields{"tenant_id": f.ours.Tenant.ID, "limit": 1}.request()
			},
			varies:    "items", // whichever call was the last one
			elsewhere: &contract.Error{Code: contract.PermissionDenied, Field: "tenant_id"},
		},
		"tenant.get": aboutTenant(nil, func(t *testing.T, f *fixture, got map[string]any) {
			require.Equal(t, f.ours.Tenant.ID, got["id"])
			require.Equal(t, f.ours.Tenant.Code, got["code"])
			require.Equal(t, f.ours.Tenant.Name, got["name"])
			require.Equal(t, true, got["is_active"])
		}),
		"tenant.module": aboutTenant(func(f *fixture) fields { return fields{"module_name": f.ours.Module} },
			func(t *testing.T, _ *fixture, got map[string]any) { require.Equal(t, true, got["enabled"]) }),
		"tenant.set_module": {request: func(_ *testing.T, f *fixture) request {
			return fields{"tenant_id": f.ours.Tenant.ID, "module_name": "m" + fresh(), "enabled": true}.request()
		}},
		"tenant.list_all": {request: nothing},
	}
}

// aboutUser samples what a module asks about a person of ours.
func aboutUser(more func(*fixture) fields, want func(*testing.T, *fixture, map[string]any)) sample {
	return about("user_id", more, want, func(c *stack.Company) string { return c.Reader.ID })
}

// aboutTenant samples what a module asks about a tenant.
func aboutTenant(more func(*fixture) fields, want func(*testing.T, *fixture, map[string]any)) sample {
	return about("tenant_id", more, want, func(c *stack.Company) string { return c.Tenant.ID })
}

func about(name string, more func(*fixture) fields, want func(*testing.T, *fixture, map[string]any), id func(*stack.Company) string) sample {
	of := func(f *fixture, id string) request {
		r := fields{}
		if more != nil {
			r = more(f)
		}
		r[name] = id
		return r.request()
	}
	return sample{
		request: func(_ *testing.T, f *fixture) request { return of(f, id(f.ours)) },
		foreign: func(_ *testing.T, f *fixture) request { return of(f, id(f.theirs)) },
		absent:  func(_ *testing.T, f *fixture) request { return of(f, uuid.NewString()) },
		want:    want,
	}
}

func (f *fixture) newTenant(t *testing.T) string {
	t.Helper()
	return stack.Do(t, f.s, contract.CreateTenant, &contract.CreateTenantRequest{Code: "T" + strings.ToUpper(fresh()), Name: "x"}).ID
}
