package directory

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
)

// AwaitState waits until is holds of a tenant, or ctx ends, and returns what is
// known of the tenant then, an erased one included.
func (d *Directory) AwaitState(ctx context.Context, tenant string, is func(contract.Tenant) bool) contract.Tenant {
	for {
		d.mu.RLock()
		state, changed := d.tenants[tenant], d.changed
		d.mu.RUnlock()
		if is(state) {
			return state
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state
		}
	}
}

// People counts who belongs to a tenant and is not deleted, and those of them
// whose home it is. It looks at every member of every tenant: some milliseconds
// for a hundred thousand.
func (d *Directory) People(tenant string) (all, home int) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, m := range d.members {
		switch {
		case m.Deleted:
		case m.TenantID == tenant:
			all, home = all+1, home+1
		case slices.Contains(m.Tenants, tenant):
			all++
		}
	}
	return all, home
}

// forget drops what is known of a tenant that is erased, but for the tombstone:
// what is told late of it brings nothing back. Its people who belong to further
// tenants go with an event of their own, by which those learn of it. d.mu is held.
func (d *Directory) forget(tenant string) {
	delete(d.activations, tenant)
	delete(d.units, tenant)
	for id, m := range d.members {
		if m.TenantID == tenant && len(m.Tenants) == 0 {
			delete(d.members, id)
		}
	}
}
