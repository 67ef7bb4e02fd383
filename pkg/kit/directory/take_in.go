package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

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
