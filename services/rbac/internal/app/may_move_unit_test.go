package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// What holds in the units above comes with the place.
func TestNobodyGivesByAMoveWhatTheyDoNotHold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	quiet, bound, denied, soon := kit.NewID(), kit.NewID(), kit.NewID(), kit.NewID()
	for _, unit := range []string{quiet, bound, denied, soon} {
		o.exec("INSERT INTO units VALUES ($1, $2, NULL, false, 1)", o.tenant, unit)
	}
	o.reload()
	o.role("reader", "crm:*:read")
	o.role("writer", "crm:*:write")
	hour := time.Now().Add(time.Hour)
	somebody := contract.ID(o.user())
	o.bind(contract.CreateBindingRequest{UserID: somebody, Role: "writer", UnitID: contract.ID(bound)})
	o.bind(contract.CreateBindingRequest{UserID: somebody, Role: "writer", UnitID: contract.ID(denied), Effect: "deny"})
	o.bind(contract.CreateBindingRequest{UserID: somebody, Role: "writer", UnitID: contract.ID(soon), ExpiresAt: &hour})
	nobody, reader, writer, here, elsewhere, brief := o.user(), o.user("reader"), o.user("writer"), o.user(), o.user(), o.user()
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(here), Role: "writer", UnitID: contract.ID(o.company)})
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(elsewhere), Role: "writer", UnitID: contract.ID(bound)})
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(brief), Role: "writer", ExpiresAt: &hour})
	for name, c := range map[string]struct {
		enters, leaves []string
		may, mayNot    []string
	}{
		"where nothing holds":                  {enters: []string{quiet}, leaves: []string{bound}, may: []string{nobody, reader}},
		"where somebody holds more":            {enters: []string{quiet, bound}, may: []string{o.admin, writer, here}, mayNot: []string{nobody, reader, elsewhere, brief}},
		"out of where somebody is denied":      {leaves: []string{denied}, may: []string{o.admin, here}, mayNot: []string{nobody, reader}},
		"to where somebody is denied":          {enters: []string{denied}, may: []string{nobody}},
		"where somebody holds more for a time": {enters: []string{soon}, may: []string{writer, brief}, mayNot: []string{nobody}},
	} {
		ask := func(by string) error {
			_, err := o.MayMoveUnit(o.service(), &contract.MayMoveUnitRequest{
				TenantID: o.id(), UnitID: contract.ID(o.branch), ByUserID: contract.ID(by), Enters: c.enters, Leaves: c.leaves,
			})
			return err
		}
		for _, by := range c.may {
			require.NoError(t, ask(by), name)
		}
		for i, by := range c.mayNot {
			require.True(t, assertRefused(t, ask(by), contract.PermissionDenied, "parent_id", name), "%s: %d", name, i)
		}
	}
}
