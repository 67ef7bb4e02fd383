package webhooks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

func TestPatternsMatchTypes(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ yes, no []string }{
		"**":                {yes: []string{"auth.user.changed", "a.b.c"}},
		"auth.**":           {yes: []string{"auth.user.changed"}, no: []string{"authx.user.changed", "rbac.policy.changed", "auth"}},
		"auth.user.*":       {yes: []string{"auth.user.changed", "auth.user.administered"}, no: []string{"auth.login.failed", "auth.user", "auth.user.a.b"}},
		"*.*.changed":       {yes: []string{"auth.user.changed", "tenant.unit.changed"}, no: []string{"auth.login.failed"}},
		"auth.user.changed": {yes: []string{"auth.user.changed"}, no: []string{"auth.user.changed.x", "auth.user.change", "xauth.user.changed"}},
		"*":                 {no: []string{"auth.user.changed"}},
		"**.changed":        {no: []string{"auth.user.changed"}},
	} {
		for _, name := range c.yes {
			require.True(t, wants([]string{"x.y.z", pattern}, name), "%s %s", pattern, name)
		}
		for _, name := range c.no {
			require.False(t, wants([]string{"x.y.z", pattern}, name), "%s %s", pattern, name)
		}
	}
	require.False(t, wants(nil, "auth.user.changed"))
}

type activations map[string]contract.Activation

func (a activations) Activation(tenant, module string) contract.Activation {
	return a[tenant+"/"+module]
}

func TestAModuleHearsWhatTheTenantConsentedTo(t *testing.T) {
	t.Parallel()
	scopes := func(all ...string) *[]string { return &all }
	grants := Consents{activations{
		"t1/crm":   {Enabled: true, Scopes: scopes("rbac.check", "events:tenant.unit.*", "events:auth.**")},
		"t2/crm":   {Enabled: true, Scopes: scopes("rbac.check", "tenant.unit.*", "events:")},
		"t3/crm":   {Enabled: false, Scopes: scopes("events:**")},
		"t4/crm":   {Enabled: true}, // without a manifest
		"t1/other": {Enabled: true, Scopes: scopes("events:**")},
	}}
	unit, user := events.UnitChanged.Name(), events.UserAdministered.Name()
	require.True(t, grants.Hears("crm", "t1", unit))
	require.True(t, grants.Hears("crm", "t1", user))
	require.False(t, grants.Hears("crm", "t1", events.MenuChanged.Name()), "not consented to")
	require.False(t, grants.Hears("crm", "t1", events.LoginFailed.Name()), "no module's to hear")
	require.False(t, grants.Hears("crm", "t1", "auth.something.new"), "not in the catalogue")
	require.False(t, grants.Hears("other", "t1", events.UserChanged.Name()))
	for _, tenant := range []string{"t2", "t3", "t4", "t5", noTenant, ""} {
		require.False(t, grants.Hears("crm", tenant, unit), tenant)
	}
}
