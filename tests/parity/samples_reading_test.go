package parity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// readingSamples are of the ways to read a trail beside audit.list.
func readingSamples() map[string]sample {
	all := map[string]sample{}
	for name, asked := range map[string]func(*fixture) fields{
		"audit.get": func(*fixture) fields { return fields{"event_id": "1"} },
		"audit.person_timeline": func(f *fixture) fields {
			return fields{"user_id": f.ours.Nobody.ID, "limit": 1, "order": "asc"}
		},
		"audit.resource_timeline": func(*fixture) fields {
			return fields{"resource_type": "company", "resource_id": "1", "limit": 1, "order": "asc"}
		},
		"audit.stats":  func(*fixture) fields { return fields{"action": "company.ready"} },
		"audit.export": func(*fixture) fields { return fields{"action": "company.ready"} },
	} {
		all[name] = sample{
			request: func(_ *testing.T, f *fixture) request {
				all := asked(f)
				all["tenant_id"] = f.ours.Tenant.ID
				return all.request()
			},
			elsewhere: &contract.Error{Code: contract.PermissionDenied, Field: "tenant_id"},
			varies:    "next_cursor",
		}
	}
	stats := all["audit.stats"]
	stats.want = func(t *testing.T, _ *fixture, got map[string]any) { require.EqualValues(t, 1, got["counted"]) }
	all["audit.stats"] = stats
	return all
}

// subscriptionSamples are of modules' subscriptions on the bus.
func subscriptionSamples() map[string]sample {
	return map[string]sample{
		"audit.subscribe": {
			own: true, regardless: true, request: func(*testing.T, *fixture) request { return fields{"from": "all"}.request() },
			want: has("stream", "GRANTED"),
		},
		"audit.unsubscribe": {own: true, regardless: true, request: nothing},
	}
}
