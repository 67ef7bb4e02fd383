package parity

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// lifecycleSamples are of what makes, changes and ends tenants.
func lifecycleSamples() map[string]sample {
	// Of a tenant of the sample's own: others hold ours to be as it was.
	aboutNew := func(prepare func(t *testing.T, f *fixture, id contract.ID), more fields, state string) sample {
		return sample{request: func(t *testing.T, f *fixture) request {
			r := fields{"tenant_id": f.newTenant(t)}
			if prepare != nil {
				prepare(t, f, contract.ID(r["tenant_id"].(string))) //nolint:errcheck // it is one
			}
			for name, value := range more {
				r[name] = value
			}
			return r.request()
		}, want: has("state", state)}
	}
	return map[string]sample{
		"tenant.create": {request: func(*testing.T, *fixture) request {
			return fields{
				"code": "T" + strings.ToUpper(fresh()), "name": "Made by the table",
				"branding": fields{"primary_color": "#1a2b3c", "logo_url": "https://example.com/logo.svg"}, "limits": fields{"users": 10},
				"administrator": fields{"email": fresh() + "@example.com", "name": "The first"},
			}.request()
		}, want: has("state", contract.TenantActive)},
		"tenant.read": aboutTenant(nil, func(t *testing.T, f *fixture, got map[string]any) {
			require.Equal(t, []any{f.ours.Tenant.ID, f.ours.Tenant.Code, contract.TenantActive}, []any{got["id"], got["code"], got["state"]})
			usage, _ := got["usage"].(map[string]any)
			require.GreaterOrEqual(t, usage["users"], 3.)
		}),
		"tenant.list": {request: func(_ *testing.T, f *fixture) request {
			return fields{"search": strings.ToLower(f.ours.Tenant.Code), "state": "active", "limit": 5}.request()
		}, want: one},
		"tenant.update": aboutTenant(func(f *fixture) fields { return fields{"name": f.ours.Tenant.Name, "branding": fields{}} },
			func(t *testing.T, f *fixture, got map[string]any) { require.Equal(t, f.ours.Tenant.Name, got["name"]) }),
		"tenant.set_limits": aboutNew(nil, fields{"users": 5, "requests_per_minute": 600}, contract.TenantActive),
		"tenant.suspend":    aboutNew(nil, fields{"reason": "unpaid"}, contract.TenantSuspended),
		"tenant.resume": aboutNew(func(t *testing.T, f *fixture, id contract.ID) {
			stack.Do(t, f.s, contract.SuspendTenant, &contract.TenantReasonRequest{TenantID: id})
		}, nil, contract.TenantActive),
		"tenant.delete": aboutNew(nil, fields{"grace_days": 7, "reason": "gone"}, contract.TenantDeleting),
		"tenant.restore": aboutNew(func(t *testing.T, f *fixture, id contract.ID) {
			stack.Do(t, f.s, contract.DeleteTenant, &contract.DeleteTenantRequest{TenantID: id})
		}, nil, contract.TenantActive),
	}
}
