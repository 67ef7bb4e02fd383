package app

import (
	"context"
	"encoding/json"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// What a tenant on its way waits for, as TenantProgress says it.
const (
	stepAdministrator = "administrator"
	stepBinding       = "binding"
	stepGrace         = "grace"
	stepErasing       = "erasing"
)

// Confirmed takes in what other services tell of the steps that make and end
// tenants. It may be told the same thing again, and late: what a step no longer
// waits for changes nothing.
func (a *App) Confirmed(ctx context.Context, e events.Event) error {
	switch {
	case events.AdministratorReady.Is(e):
		return read(e, func(p events.TenantProvision) error { return a.administratorReady(ctx, p) })
	case events.AdministratorRefused.Is(e):
		return read(e, func(r events.AdministratorRefusal) error { return a.administratorRefused(ctx, r) })
	case events.AdministratorBound.Is(e):
		return read(e, func(p events.TenantProvision) error { return a.administratorBound(ctx, p) })
	}
	for _, service := range erasers {
		if events.TenantErased(service).Is(e) {
			return read(e, func(done events.TenantErasure) error { return a.erasedBy(ctx, service, done) })
		}
	}
	return nil
}

// ConfirmedSubjects are of the events that Confirmed takes in.
func ConfirmedSubjects() []string {
	kinds := []events.Kind{events.AdministratorReady, events.AdministratorRefused, events.AdministratorBound}
	for _, service := range erasers {
		kinds = append(kinds, events.TenantErased(service))
	}
	var subjects []string
	for _, kind := range kinds {
		subjects = append(subjects, kind.Subject("*"))
	}
	return subjects
}

func read[T any](e events.Event, use func(T) error) error {
	data, err := events.Data[T](e)
	if err != nil {
		return err
	}
	return use(data)
}

// administratorReady notes which account the administrator has.
func (a *App) administratorReady(ctx context.Context, p events.TenantProvision) error {
	return a.step(ctx, p.TenantID, contract.TenantProvisioning, func(q *db.Queries, row db.TenantTenant) ([]events.Event, error) {
		ready := stored[events.TenantProvision](row.Provision)
		ready.UserID, ready.Revision = p.UserID, p.Revision
		raw, err := json.Marshal(ready)
		if err != nil {
			return nil, err
		}
		return nil, q.AwaitBinding(ctx, db.AwaitBindingParams{ID: row.ID, Provision: raw})
	})
}

// administratorBound makes the tenant active.
func (a *App) administratorBound(ctx context.Context, p events.TenantProvision) error {
	return a.step(ctx, p.TenantID, contract.TenantProvisioning, func(q *db.Queries, row db.TenantTenant) ([]events.Event, error) {
		row, err := q.SetTenantState(ctx, db.SetTenantStateParams{ID: row.ID, State: contract.TenantActive})
		if err != nil {
			return nil, err
		}
		return told(ctx, row, changed{change: "activated"})
	})
}

// administratorRefused ends a tenant that gets no administrator: whatever was
// made of it is erased again.
func (a *App) administratorRefused(ctx context.Context, r events.AdministratorRefusal) error {
	return a.step(ctx, r.TenantID, contract.TenantProvisioning, func(q *db.Queries, row db.TenantTenant) ([]events.Event, error) {
		raw, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		return beginErasing(ctx, q, row, "refused", r.Reason, raw)
	})
}

// step does what follows on another service's confirmation, if the tenant is
// still in the state that waits for it.
func (a *App) step(ctx context.Context, tenant, state string, work func(*db.Queries, db.TenantTenant) ([]events.Event, error)) error {
	id := kit.UUID(contract.ID(tenant))
	return a.Store.Change(ctx, id, func(q *db.Queries) ([]events.Event, error) {
		row, err := q.LockForChange(ctx, id)
		if database.Missing(err) || err == nil && row.State != state {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return work(q, row)
	})
}
