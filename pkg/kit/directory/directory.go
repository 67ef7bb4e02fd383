// Package directory is the projection that services decide visibility by: who
// belongs to which tenant, which tenants are active, and which modules they
// enabled. It holds ids and states, no personal data.
package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

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

func (d *Directory) load(ctx context.Context, client *kit.Client, parts Part) error {
	err := pages(ctx, client, contract.ListTenants, func(page *contract.ListTenantsResponse) string {
		for _, item := range page.Items {
			d.PutTenant(item.Tenant)
			for _, a := range item.Activations {
				d.PutActivation(a)
			}
		}
		return page.NextCursor
	})
	if err == nil {
		err = d.loadModules(ctx, client)
	}
	if err == nil && parts&Units != 0 {
		err = pages(ctx, client, contract.ListUnits, func(page *contract.ListUnitsResponse) string {
			for _, unit := range page.Items {
				d.PutUnit(unit)
			}
			return page.NextCursor
		})
	}
	if err != nil || parts&Members == 0 {
		return err
	}
	return pages(ctx, client, contract.ListMembers, func(page *contract.ListMembersResponse) string {
		for _, m := range page.Items {
			d.PutMember(m)
		}
		return page.NextCursor
	})
}

func (d *Directory) loadModules(ctx context.Context, client *kit.Client) error {
	all, err := ask(ctx, client, contract.ListModuleStates, &contract.ModuleStatesRequest{})
	if err != nil {
		return err
	}
	for _, state := range all.Items {
		d.PutModule(state)
	}
	return nil
}

// pages calls a snapshot operation page by page.
func pages[Resp any](ctx context.Context, client *kit.Client,
	op contract.Operation[contract.SnapshotRequest, Resp], take func(*Resp) (next string),
) error {
	request := &contract.SnapshotRequest{} // the owner knows how much fits an answer
	for {
		page, err := ask(ctx, client, op, request)
		if err != nil {
			return err
		}
		if request.Cursor = take(page); request.Cursor == "" {
			return nil
		}
	}
}

// ask calls an operation, again while its owner is still starting.
func ask[Req, Resp any](ctx context.Context, client *kit.Client, op contract.Operation[Req, Resp], request *Req) (*Resp, error) {
	for {
		response, err := kit.Call(ctx, client, op, request)
		if !errors.Is(err, &contract.Error{Code: contract.Unavailable}) {
			return response, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s: %w", op.Service(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *Directory) apply(e events.Event) {
	var err error
	switch {
	case events.TenantChanged.Is(e):
		err = decode(e, d.PutTenant)
	case events.ModuleChanged.Is(e):
		err = decode(e, d.PutActivation)
	case events.ModuleStateChanged.Is(e):
		err = decode(e, d.PutModule)
	case events.UserChanged.Is(e):
		err = decode(e, d.PutMember)
	case events.UnitChanged.Is(e):
		err = decode(e, d.PutUnit)
	}
	if err != nil {
		d.log.Error("directory: event not understood", "type", e.Type(), "id", e.ID(), "error", err)
	}
}

func decode[T any](e events.Event, put func(T)) error {
	var state T
	if err := json.Unmarshal(e.Data(), &state); err != nil {
		return err
	}
	put(state)
	return nil
}

// PutTenant takes a tenant's state in, unless a newer one is known.
func (d *Directory) PutTenant(t contract.Tenant) {
	d.put(func() bool {
		newer := t.Revision > d.tenants[t.ID].Revision
		if newer && t.State == contract.TenantErased {
			t = contract.Tenant{ID: t.ID, State: t.State, Revision: t.Revision}
			d.forget(t.ID)
		}
		if newer {
			d.tenants[t.ID] = t
		}
		return newer
	}, "", t.ID)
}

// PutMember takes a user's state in, unless a newer one is known.
func (d *Directory) PutMember(m contract.Member) {
	before, _ := d.Member(m.UserID)
	d.put(func() bool {
		newer := m.Revision > d.members[m.UserID].Revision && (m.Deleted || !d.erased(m.TenantID))
		if newer {
			if home, ok := d.tenants[m.TenantID]; ok {
				m.TenantID = home.ID // one string for a million members
			}
			d.members[m.UserID] = m
		}
		return newer
	}, m.UserID, slices.Concat([]string{before.TenantID, m.TenantID}, before.Tenants, m.Tenants)...)
}

// PutActivation takes an activation's state in, unless a newer one is known.
func (d *Directory) PutActivation(a contract.Activation) {
	d.put(func() bool {
		return !d.erased(a.TenantID) && putIn(d.activations, a.TenantID, a.Module, a, contract.Activation.Newer)
	}, "", a.TenantID)
}

// PutModule takes in what of a module is suspended, unless a newer state is
// known. For the tenants that have the module it is as if their activation had
// changed.
func (d *Directory) PutModule(m contract.ModuleState) {
	var having []string
	changed := d.changes(func() bool {
		if m.Revision <= d.modules[m.Module].Revision {
			return false
		}
		d.modules[m.Module] = m
		for tenant, of := range d.activations {
			if _, has := of[m.Module]; has {
				having = append(having, tenant)
			}
		}
		return true
	})
	if !changed || d.watch == nil {
		return
	}
	for _, tenant := range having {
		d.watch(tenant, "")
	}
}

// PutUnit takes a unit's state in, unless a newer one is known.
func (d *Directory) PutUnit(u contract.OrgUnit) {
	d.put(func() bool {
		return !d.erased(u.TenantID) && putIn(d.units, u.TenantID, u.ID, u, contract.OrgUnit.Newer)
	}, "", u.TenantID)
}

func (d *Directory) erased(tenant string) bool {
	return d.tenants[tenant].State == contract.TenantErased
}

func putIn[T any](all map[string]map[string]T, tenant, key string, state T, newer func(T, T) bool) bool {
	of := all[tenant]
	if of == nil {
		of = map[string]T{}
		all[tenant] = of
	}
	if !newer(state, of[key]) {
		return false
	}
	of[key] = state
	return true
}

func (d *Directory) put(change func() bool, user string, tenants ...string) {
	if !d.changes(change) || d.watch == nil {
		return
	}
	slices.Sort(tenants)
	for _, tenant := range slices.Compact(tenants) {
		if tenant != "" {
			d.watch(tenant, user)
		}
	}
}

func (d *Directory) changes(change func() bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !change() {
		return false
	}
	close(d.changed)
	d.changed = make(chan struct{})
	return true
}

// Activations returns the modules that a tenant ever enabled, as they are in
// effect: one that the platform suspended is not enabled.
func (d *Directory) Activations(tenant string) []contract.Activation {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]contract.Activation, 0, len(d.activations[tenant]))
	for _, a := range d.activations[tenant] {
		all = append(all, d.effective(a))
	}
	return all
}

// effective is an activation as the state of its module leaves it.
func (d *Directory) effective(a contract.Activation) contract.Activation {
	if state, ok := d.modules[a.Module]; ok {
		a.Enabled = a.Enabled && !state.Withdrawn(a.Version)
		a.Revision = max(a.Revision, state.Revision)
	}
	return a
}

// Activation returns a module of an active tenant as it is in effect.
func (d *Directory) Activation(tenant, module string) contract.Activation {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.tenants[tenant].IsActive {
		return contract.Activation{}
	}
	return d.effective(d.activations[tenant][module])
}

// Suspended reports whether the platform suspended the whole module.
func (d *Directory) Suspended(module string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.modules[module].Suspended
}

// Withdrawn reports whether the platform suspended this version of a module, or
// all of it.
func (d *Directory) Withdrawn(module, version string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.modules[module].Withdrawn(version)
}

// SuspendedModules returns the names of the modules that the platform suspended
// as a whole.
func (d *Directory) SuspendedModules() (names []string) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for name, state := range d.modules {
		if state.Suspended {
			names = append(names, name)
		}
	}
	return names
}

// Modules returns the names of the modules that some active tenant has enabled.
func (d *Directory) Modules() []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	modules := map[string]struct{}{}
	for tenant, of := range d.activations {
		for name, a := range of {
			if d.tenants[tenant].IsActive && d.effective(a).Enabled {
				modules[name] = struct{}{}
			}
		}
	}
	return slices.Collect(maps.Keys(modules))
}

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

// Enabled reports whether an active tenant has the module enabled, and the
// platform has not suspended it.
func (d *Directory) Enabled(tenant, module string) bool { return d.Activation(tenant, module).Enabled }

// Sees is the platform's rule of visibility: a service sees every tenant; a
// module those that are active, have it enabled, consented to its use of the
// operation that it calls, and that its key is good for; nobody else sees any.
func (d *Directory) Sees(p kit.Principal, tenant string) bool {
	switch p.Kind {
	case kit.KindService:
		_, ok := d.Tenant(tenant)
		return ok
	case kit.KindModule:
		if !p.May(tenant) {
			return false
		}
		a := d.Activation(tenant, p.Module)
		return a.Enabled && a.Permits(p.Operation)
	}
	return false
}

// VisibleTenant is Sees for the caller of the operation, whose call is recorded
// as one about the tenant.
func (d *Directory) VisibleTenant(ctx context.Context, tenant string) bool {
	if !d.Sees(kit.PrincipalFrom(ctx), tenant) {
		return false
	}
	kit.RecordTenant(ctx, tenant)
	return true
}

// VisibleUser returns the tenant in which the caller of the operation may ask
// about an active user: the user's home tenant when tenant is empty, else that
// one. Everyone else is not_found, whether they exist or not.
func (d *Directory) VisibleUser(ctx context.Context, user, tenant string) (contract.Tenant, error) {
	t, ok := d.MemberOf(user, tenant)
	if !ok || !d.VisibleTenant(ctx, t.ID) {
		return contract.Tenant{}, contract.Missing("user")
	}
	return t, nil
}

// AwaitMember waits until the user is known as an active member of the tenant:
// a change made elsewhere a moment ago arrives by event. It answers not_found
// after two seconds, and the context's error when ctx ends first.
func (d *Directory) AwaitMember(ctx context.Context, tenant, user string) error {
	return d.await(ctx, "user", func() bool {
		_, ok := d.MemberOf(user, tenant)
		return ok
	})
}

// AwaitTenant is AwaitMember for a tenant.
func (d *Directory) AwaitTenant(ctx context.Context, tenant string) error {
	return d.await(ctx, "tenant", func() bool {
		t, ok := d.Tenant(tenant)
		return ok && t.IsActive
	})
}

// ActingTenant is the one that an administrative request acts in: the caller's
// own, or, for a platform administrator or a service, the one that the request
// names. A tenant that the caller may not act in is not_found.
func (d *Directory) ActingTenant(ctx context.Context, requested contract.ID) (string, error) {
	user, named := kit.UserFrom(ctx), kit.UUID(requested)
	switch {
	case user.ID == "" || user.Platform: // a service, or a platform administrator
		if named == "" {
			named = user.TenantID
		}
		if named == "" {
			return "", contract.Invalid("tenant_id", "is required: you act in no tenant")
		}
	case named == "" || named == user.TenantID:
		return user.TenantID, nil
	default:
		return "", contract.Missing("tenant")
	}
	if _, known := d.Tenant(named); !known { // made a moment ago, perhaps
		if err := d.AwaitTenant(ctx, named); err != nil {
			return named, err
		}
	}
	kit.RecordTenant(ctx, named)
	return named, nil
}

func (d *Directory) await(ctx context.Context, what string, holds func() bool) error {
	timeout := time.NewTimer(2 * time.Second)
	defer timeout.Stop()
	for {
		d.mu.RLock()
		changed := d.changed
		d.mu.RUnlock()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			return contract.Missing(what)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
