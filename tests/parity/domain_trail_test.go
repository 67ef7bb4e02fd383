package parity

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// platformTrail is whose trail the events of no tenant are in.
const platformTrail = "00000000-0000-0000-0000-000000000000"

// testDomainTrail holds that what the services did is in the trail of the
// tenant that it was done in, for its administrators and the platform's, and
// for nobody else.
func testDomainTrail(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c, other, platform := s.Company(t), s.Company(t), s.PlatformAdmin(t)
	list := func(t *testing.T, u stack.User, query string) ([]contract.AuditEvent, *contract.Error) {
		t.Helper()
		out, refused := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, u)}.Call(t, contract.ListAudit.Spec, query)
		var page contract.ListAuditResponse
		if refused == nil {
			require.NoError(t, json.Unmarshal(out, &page))
		}
		return page.Items, refused
	}
	// await lists until there are so many.
	await := func(t *testing.T, u stack.User, query string, n int) (items []contract.AuditEvent) {
		t.Helper()
		require.Eventually(t, func() bool {
			var refused *contract.Error
			items, refused = list(t, u, query)
			return refused == nil && len(items) >= n
		}, stack.Timeout, 20*time.Millisecond)
		return items
	}

	c.EnableModule(t, c.Module, false)
	modules := await(t, c.Admin, `{"action":"tenant.module.changed"}`, 2)
	require.Len(t, modules, 2)
	last := modules[0]
	require.Equal(t, "tenant", last.Source)
	require.Equal(t, "module", last.ResourceType)
	require.Equal(t, c.Module, last.ResourceID)
	require.Equal(t, c.Tenant.ID, last.TenantID)
	require.Equal(t, "success", last.Outcome)
	require.Empty(t, last.UserID, "the operator has no user")
	var state contract.Activation
	require.NoError(t, json.Unmarshal(last.Details, &state))
	require.False(t, state.Enabled)
	require.Equal(t, c.Module, state.Module)

	people := await(t, c.Admin, `{"action":"auth.user.changed","limit":500}`, 3)
	of := map[string]bool{}
	for _, item := range people {
		of[item.ResourceID] = true
	}
	for _, person := range []stack.User{c.Admin, c.Reader, c.Nobody} {
		require.True(t, of[person.ID])
	}

	query := func(tenant string) string { return `{"limit":500,"tenant_id":"` + tenant + `"}` }
	for _, tenant := range []string{other.Tenant.ID, platformTrail} {
		_, refused := list(t, c.Admin, query(tenant))
		requireCode(t, contract.PermissionDenied, "tenant_id", refused)
	}
	own, refused := list(t, c.Admin, query(c.Tenant.ID))
	require.Nil(t, refused)
	require.NotEmpty(t, own)
	for _, tenant := range []string{c.Tenant.ID, other.Tenant.ID, platformTrail} {
		for _, item := range await(t, platform, query(tenant), 1) {
			require.Equal(t, tenant, item.TenantID)
		}
	}
	for _, item := range await(t, platform, `{}`, 1) {
		require.Equal(t, platformTrail, item.TenantID, "who acts in no tenant reads the platform's")
	}
}
