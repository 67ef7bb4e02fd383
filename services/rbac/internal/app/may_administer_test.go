package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func (o *office) mayAdminister(by, user string, leaving bool) error {
	_, err := o.MayAdminister(o.service(), &contract.MayAdministerRequest{
		TenantID: o.id(), UserID: contract.ID(user), ByUserID: contract.ID(by), Leaving: leaving,
	})
	return err
}

// Who can change an account can take it over, with what it may do now or again.
func TestNobodyChangesTheAccountOfSomebodyWhoHoldsMore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	o.role("accounts", "financial:**")
	by := o.user("user-administrator", "reader")
	hour, later := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	o.role("writer", "crm:*:write")
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(by), Role: "writer", ExpiresAt: &hour})
	with := func(r contract.CreateBindingRequest) string {
		user := o.user()
		r.UserID = contract.ID(user)
		o.bind(r)
		return user
	}
	member, suspended := o.user(), o.user("tenant-administrator")
	o.group("administrators", []string{member}, "tenant-administrator")
	o.tells(o, suspended, 1000, func(m *contract.Member) { m.Active = false })
	past := o.user()
	over := o.bind(contract.CreateBindingRequest{UserID: contract.ID(past), Role: "accounts", ExpiresAt: &hour})
	o.exec("UPDATE bindings SET expires_at = now() - interval '1 hour' WHERE id = $1", over.ID)
	for name, c := range map[string]struct {
		user string
		may  bool
	}{
		"an administrator":                {o.admin, false},
		"one by a group":                  {member, false},
		"one who is suspended":            {suspended, false},
		"one of a branch":                 {with(contract.CreateBindingRequest{Role: "tenant-administrator", UnitID: contract.ID(o.branch)}), false},
		"of a module that is not enabled": {o.user("accounts"), false},
		"somebody for longer":             {with(contract.CreateBindingRequest{Role: "writer", ExpiresAt: &later}), false},
		"somebody for as long":            {with(contract.CreateBindingRequest{Role: "writer", ExpiresAt: &hour}), true},
		"somebody with the same":          {o.user("reader"), true},
		"somebody with less":              {with(contract.CreateBindingRequest{Role: "reader", UnitID: contract.ID(o.branch)}), true},
		"somebody with nothing":           {o.user(), true},
		"what is over":                    {past, true},
	} {
		for _, leaving := range []bool{true, false} {
			if err := o.mayAdminister(by, c.user, leaving); c.may {
				require.NoError(t, err, name)
			} else {
				require.True(t, assertRefused(t, err, contract.PermissionDenied, "", name))
			}
		}
		require.NoError(t, o.mayAdminister(o.admin, c.user, false), name)
	}
}

// An account reaches into every tenant that its user belongs to.
func TestTheAccountOfSomebodyFromElsewhereCounts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := o.newTenant()
	user := kit.NewID()
	o.Directory.PutMember(contract.Member{UserID: user, TenantID: o.tenant, Tenants: []string{other}, Active: true, Revision: 1})
	require.NoError(t, o.mayAdminister(o.admin, user, false))
	o.bind(contract.CreateBindingRequest{TenantID: contract.ID(other), UserID: contract.ID(user), Role: "auditor"})
	err := o.mayAdminister(o.admin, user, false)
	refuses(t, err, contract.PermissionDenied, "")
	require.NotContains(t, err.Error(), "audit", "what they hold there is not told")
	require.NoError(t, o.mayAdminister(o.admin, user, true), "to end an account takes nothing over")

	o.bind(contract.CreateBindingRequest{TenantID: contract.ID(other), UserID: contract.ID(user), Role: "tenant-administrator"})
	refuses(t, o.mayAdminister(o.admin, user, true), contract.Conflict, "")
	o.userOf(other, "tenant-administrator")
	require.NoError(t, o.mayAdminister(o.admin, user, true), "somebody else is there")
}

func TestTheLastAdministratorsAccountStays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.NoError(t, o.mayAdminister(o.admin, o.admin, false))
	refuses(t, o.mayAdminister(o.admin, o.admin, true), contract.Conflict, "")
	other := o.user("tenant-administrator")
	require.NoError(t, o.mayAdminister(other, o.admin, true))
}
