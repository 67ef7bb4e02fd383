package parity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// keySamples are of modules' API keys.
func keySamples() map[string]sample {
	return map[string]sample{
		"auth.create_key": {request: func(_ *testing.T, f *fixture) request {
			return fields{"module": f.ours.Module, "environment": "dev", "tenants": []string{f.ours.Tenant.ID}}.request()
		}},
		"auth.get_key": aboutKey(nil),
		"auth.list_keys": {
			request: func(t *testing.T, f *fixture) request {
				name := "m" + fresh()
				f.key(t, f.ours, name)
				return fields{"module": name}.request()
			},
			want: func(t *testing.T, _ *fixture, got map[string]any) { require.Len(t, got["items"], 1) },
		},
		"auth.rotate_key": aboutKey(fields{"overlap_seconds": 60}),
		"auth.revoke_key": aboutKey(nil),
		"auth.report_leak": {request: func(t *testing.T, f *fixture) request {
			return fields{"api_key": f.key(t, f.ours, f.ours.Module), "where": "a public repository"}.request()
		}},
		"auth.verify_key": {
			request: func(_ *testing.T, f *fixture) request { return fields{"api_key": f.module.key}.request() },
			want:    ofModule,
		},
		"auth.key_info": {
			request: func(_ *testing.T, f *fixture) request { return fields{"id": f.module.id}.request() },
			want:    ofModule,
		},
	}
}

func ofModule(t *testing.T, f *fixture, got map[string]any) {
	require.Equal(t, f.module.id, got["id"])
	require.Equal(t, f.ours.Module, got["module"])
}

// aboutKey samples what is done with a tenant's own key.
func aboutKey(more fields) sample {
	of := func(t *testing.T, key string) request {
		r := fields{"id": keyID(t, key)}
		for name, value := range more {
			r[name] = value
		}
		return r.request()
	}
	return sample{
		request: func(t *testing.T, f *fixture) request { return of(t, f.key(t, f.ours, f.ours.Module)) },
		foreign: func(t *testing.T, f *fixture) request { return of(t, f.key(t, f.theirs, f.ours.Module)) },
		absent:  func(t *testing.T, f *fixture) request { return of(t, f.badKeys["an unknown key"]) },
	}
}

// key makes a key that is good for one tenant only: its administrators' to
// administer.
func (f *fixture) key(t *testing.T, c *stack.Company, module string) string {
	t.Helper()
	return stack.Do(t, f.s, contract.CreateKey, &contract.CreateKeyRequest{
		Module: module, Environment: "dev", Tenants: []string{c.Tenant.ID},
	}).APIKey
}
