package resilience

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// Replicas hold the tenants' overrides in memory; a change reaches all of them.
func TestEveryReplicaShowsAMenuAsItIsOverridden(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	s.Replica(t, "tenant")
	person := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Nobody)}
	const often = 40 // that each replica answers some
	title := func() string {
		out, refused := person.Call(t, contract.GetMenu.Spec, "{}")
		if refused != nil {
			return refused.Error()
		}
		var menu contract.Menu
		require.NoError(t, json.Unmarshal(out, &menu))
		require.NotEmpty(t, menu.Sections[0].Items)
		return menu.Sections[0].Items[0].Title
	}
	all := func(want string) func() bool {
		return func() bool {
			for range often {
				if title() != want {
					return false
				}
			}
			return true
		}
	}
	require.Eventually(t, all("Home"), stack.Timeout, 5*time.Millisecond)
	for _, renamed := range []string{"Harbour", "Hearth"} {
		stack.Do(t, s, contract.PutMenuOverrides, &contract.PutMenuOverridesRequest{
			TenantID: contract.ID(c.Tenant.ID), Items: []contract.MenuOverride{{ItemID: "platform:home", Title: map[string]string{"en": renamed}}},
		})
		require.Eventually(t, all(renamed), stack.Timeout, 5*time.Millisecond)
	}
}
