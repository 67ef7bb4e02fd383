package directory

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// What is told of an erased tenant late, by whichever of its events, brings
// nothing back.
func TestAnErasedTenantIsForgotten(t *testing.T) {
	t.Parallel()
	d := empty()
	tell := func() {
		d.PutTenant(contract.Tenant{ID: "t1", Code: "ACME", State: contract.TenantActive, IsActive: true, Revision: 1})
		d.PutMember(contract.Member{UserID: "ours", TenantID: "t1", Active: true, Revision: 1})
		d.PutActivation(contract.Activation{TenantID: "t1", Module: "crm", Enabled: true, Revision: 1})
		d.PutUnit(contract.OrgUnit{TenantID: "t1", ID: "u", Revision: 1})
	}
	tell()
	d.PutTenant(contract.Tenant{ID: "t2", IsActive: true, Revision: 1})
	d.PutMember(contract.Member{UserID: "guest", TenantID: "t2", Tenants: []string{"t1"}, Active: true, Revision: 1})
	d.PutMember(contract.Member{UserID: "away", TenantID: "t1", Tenants: []string{"t2"}, Active: true, Revision: 1})
	all, home := d.People("t1")
	require.Equal(t, []int{3, 2}, []int{all, home})

	d.PutTenant(contract.Tenant{ID: "t1", Code: "ACME", State: contract.TenantErased, Revision: 2})
	tell()
	_, known := d.Tenant("t1")
	require.False(t, known)
	require.Equal(t, []string{"t2"}, d.TenantIDs())
	require.Empty(t, d.Activations("t1"))
	require.Empty(t, d.Units("t1"))
	_, known = d.Member("ours")
	require.False(t, known)
	require.Equal(t, contract.Tenant{ID: "t1", State: contract.TenantErased, Revision: 2}, d.tenants["t1"], "a tombstone, without its name")
	require.False(t, d.MayAct("guest", "t1"))
	require.True(t, d.MayAct("guest", "t2"), "who is at home elsewhere stays")

	// Guests from it go with their own event, which tells where they were.
	heard := []string{}
	d.watch = func(tenant, user string) { heard = append(heard, tenant+"/"+user) }
	require.True(t, d.MayAct("away", "t2"))
	d.PutMember(contract.Member{UserID: "away", TenantID: "t1", Deleted: true, Revision: 2})
	require.False(t, d.MayAct("away", "t2"))
	require.Contains(t, heard, "t2/away")
}

func TestAwaitStateIsWokenByTheChange(t *testing.T) {
	t.Parallel()
	d := empty()
	d.PutTenant(contract.Tenant{ID: "t1", State: contract.TenantProvisioning, Revision: 1})
	settled := func(t contract.Tenant) bool { return t.State != contract.TenantProvisioning }
	soon, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	require.Equal(t, contract.TenantProvisioning, d.AwaitState(soon, "t1", settled).State)
	got := make(chan contract.Tenant, 1)
	go func() { got <- d.AwaitState(bounded(t), "t1", settled) }()
	d.PutTenant(contract.Tenant{ID: "t1", State: contract.TenantErased, Revision: 2})
	require.Equal(t, contract.TenantErased, (<-got).State)
}
