// Package directory is the projection that services decide visibility by: who
// belongs to which tenant, which tenants are active, and which modules they
// enabled. It holds ids and states, no personal data.
package directory

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

// Directory is a projection in memory: a snapshot asked from its owners, kept
// fresh by their events. Of two states of one entity the higher revision
// wins, so order and repetition of events do not matter. It is safe for
// concurrent use; look-ups take some tens of nanoseconds.
type Directory struct {
	log *slog.Logger

	mu          sync.RWMutex
	tenants     map[string]contract.Tenant
	members     map[string]contract.Member
	activations map[string]map[string]contract.Activation // by tenant and module
	modules     map[string]contract.ModuleState           // those that were ever suspended
	units       map[string]map[string]contract.OrgUnit    // by tenant and id
	changed     chan struct{}                             // closed and replaced at each change
	watch       func(tenant, user string)

	follower *events.Follower
}

// New returns an empty Directory: it knows nobody.
func New(log *slog.Logger) *Directory {
	return &Directory{
		log:         log,
		tenants:     map[string]contract.Tenant{},
		members:     map[string]contract.Member{},
		activations: map[string]map[string]contract.Activation{},
		modules:     map[string]contract.ModuleState{},
		units:       map[string]map[string]contract.OrgUnit{},
		changed:     make(chan struct{}),
	}
}

// Part is what a Directory is to know.
type Part uint8

// The parts of a Directory; they combine with |.
const (
	Tenants Part = 1 << iota // tenants and the modules they enabled; always known
	Members                  // who belongs to which tenant
	Units                    // the tenants' org trees
)

// Watch has what called after each change, once it can be seen: of a tenant, its
// modules or its units, or with user of who belongs to it. It is called in the
// order of the changes of one entity and must not block. Watch is called before
// Start.
func (d *Directory) Watch(what func(tenant, user string)) { d.watch = what }

// Start follows the events and then takes the snapshots of the parts, asking
// again while an owner is not available yet. It returns when the Directory
// has caught up or ctx ends.
func (d *Directory) Start(ctx context.Context, client *kit.Client, js jetstream.JetStream, parts Part) error {
	subjects := []string{events.TenantChanged.Subject("*"), events.ModuleChanged.Subject("*"), events.ModuleStateChanged.Subject("*")}
	if parts&Members != 0 {
		subjects = append(subjects, events.UserChanged.Subject("*"))
	}
	if parts&Units != 0 {
		subjects = append(subjects, events.UnitChanged.Subject("*"))
	}
	follower, err := events.Follow(ctx, js, events.EventsStream, subjects, d.apply, func(err error) {
		d.log.Warn("directory: reading events", "error", err)
	})
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	d.follower = follower
	if err := d.load(ctx, client, parts); err != nil {
		d.Stop()
		return fmt.Errorf("directory: %w", err)
	}
	return nil
}

// Stop ends the following. It is idempotent.
func (d *Directory) Stop() { d.follower.Stop() }

// Seen is the place in stream EVENTS up to which the directory knows all that
// concerns it.
func (d *Directory) Seen() uint64 { return d.follower.Sequence() }

// Units returns a tenant's org tree, removed units too; those that Units are
// among the parts of.
func (d *Directory) Units(tenant string) []contract.OrgUnit {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Collect(maps.Values(d.units[tenant]))
}

// TenantIDs returns the ids of all tenants, active or not; none that is erased.
func (d *Directory) TenantIDs() []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	ids := slices.Collect(maps.Keys(d.tenants))
	return slices.DeleteFunc(ids, d.erased)
}

// Tenant returns a tenant, active or not; none that is erased.
func (d *Directory) Tenant(id string) (contract.Tenant, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t, ok := d.tenants[id]
	return t, ok && t.State != contract.TenantErased
}

// TenantOf returns the active home tenant of an active user.
func (d *Directory) TenantOf(user string) (contract.Tenant, bool) { return d.MemberOf(user, "") }

// MemberOf returns the active tenant that an active user may act in: the home
// tenant when tenant is empty, a further one that they belong to, or any for a
// platform administrator.
func (d *Directory) MemberOf(user, tenant string) (contract.Tenant, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	m := d.members[user]
	if tenant == "" {
		tenant = m.TenantID
	}
	t := d.tenants[tenant]
	belongs := m.Platform || tenant == m.TenantID || slices.Contains(m.Tenants, tenant)
	return t, m.Active && t.IsActive && belongs
}

// Member returns what is known of a user, active or not.
func (d *Directory) Member(user string) (contract.Member, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	m, ok := d.members[user]
	return m, ok
}

// Platform reports whether the user is an active platform administrator.
func (d *Directory) Platform(user string) bool {
	m, _ := d.Member(user)
	return m.Active && m.Platform
}
