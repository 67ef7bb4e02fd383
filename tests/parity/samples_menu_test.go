package parity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// menuSamples are of the menu and of what a tenant overrides of it.
func menuSamples() map[string]sample {
	overridden := func(t *testing.T, f *fixture, got map[string]any) {
		require.Equal(t, f.ours.Tenant.ID, got["tenant_id"])
		require.Len(t, got["items"], 1)
		require.Len(t, got["unknown"], 1)
		require.Greater(t, got["revision"], 1.)
	}
	return map[string]sample{
		"tenant.menu": {
			request: func(_ *testing.T, f *fixture) request { return request{`{"language":"de-CH"}`, f.tokens.master} },
			want: func(t *testing.T, _ *fixture, got map[string]any) {
				shown := titles(got)
				require.Equal(t, "Start", shown["platform:home"])
				require.Equal(t, "Benutzer", shown["platform:users"])
				require.NotContains(t, shown, "platform:tenants", "for platform administrators only")
				require.Len(t, got["etag"], 43)
			},
		},
		"tenant.get_menu_overrides": {request: func(t *testing.T, f *fixture) request {
			stack.Do(t, f.s, contract.PutMenuOverrides, &contract.PutMenuOverridesRequest{
				TenantID: contract.ID(f.ours.Tenant.ID),
				Items: []contract.MenuOverride{{
					ItemID: "x" + fresh() + ":item", Hidden: true, Order: new(int), ParentID: "admin", Title: map[string]string{"en": "Renamed"},
				}},
			})
			return request{body: "{}"}
		}, want: overridden},
		"tenant.put_menu_overrides": {request: func(*testing.T, *fixture) request {
			return fields{"items": []fields{{
				"item_id": "x" + fresh() + ":item", "hidden": true, "order": 7, "parent_id": "platform:people", "title": fields{"en": "Renamed"},
			}}}.request()
		}, want: overridden},
	}
}

// titles of all items of a menu, by id.
func titles(menu map[string]any) map[string]any {
	all := map[string]any{}
	var take func(items any)
	take = func(items any) {
		list, _ := items.([]any)
		for _, entry := range list {
			item, _ := entry.(map[string]any)
			if id, ok := item["id"].(string); ok && item["title"] != nil {
				all[id] = item["title"]
			}
			take(item["items"])
			take(item["children"])
		}
	}
	take(menu["sections"])
	return all
}
