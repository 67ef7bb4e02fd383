package backbone

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

// Every stack holds what its services publish to the catalogue; so all tests of
// the whole do. This is the test of that.
func TestWhatIsNotAsTheCatalogueSaysIsFound(t *testing.T) {
	t.Parallel()
	const tenant = "0190f5c2-0000-7000-8000-000000000001"
	good := events.SettingsChange{TenantID: tenant, Namespace: "crm", Layer: "tenant", Revision: 1}
	check := func(kind events.Kind, data any) error {
		e, err := events.New(kind, tenant, 1, data)
		require.NoError(t, err)
		msg, err := events.Encode(e)
		require.NoError(t, err)
		return stack.CheckEvent(msg.Subject, msg.Header, msg.Data)
	}
	require.NoError(t, check(events.SettingsChanged, good))
	require.NoError(t, check(events.TenantChanged, contract.Tenant{ID: tenant, State: "active"}))
	require.ErrorContains(t, check(events.Kind{Service: "tenant", Entity: "x", Verb: "y"}, good), "not in it")
	require.Error(t, check(events.SettingsChanged, map[string]any{"namespace": "crm"}), "a member is missing")
	require.Error(t, check(events.SettingsChanged, contract.Tenant{}), "other data")
	require.Error(t, check(events.TenantChanged, contract.Tenant{ID: "no id", State: "active"}))
	require.Error(t, check(events.TenantChanged, contract.Tenant{ID: tenant, State: "somehow"}))
	e, err := events.New(events.SettingsChanged, tenant, 1, good)
	require.NoError(t, err)
	msg, err := events.Encode(e)
	require.NoError(t, err)
	require.ErrorContains(t, stack.CheckEvent(events.MenuChanged.Subject(tenant), msg.Header, msg.Data), "is published on")
}
