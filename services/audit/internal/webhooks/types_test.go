package webhooks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

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
