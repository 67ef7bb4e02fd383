package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// changed is what was done to a tenant, for the audit trail.
type changed struct {
	change string
	fields []string
	reason string
	// also are further events of the change.
	also []events.Event
}

// changeTenant has work change a tenant whose row it holds; with a revision the
// row must be at it. The new state is told with what was done; without a word
// for that nothing was done, and the present state is returned. An erased tenant
// is not_found.
func (a *App) changeTenant(ctx context.Context, tenant contract.ID, revision int64,
	work func(*db.Queries, db.TenantTenant) (db.TenantTenant, changed, error),
) (*contract.Tenant, error) {
	id := kit.UUID(tenant)
	var state contract.Tenant
	err := a.Store.Change(ctx, id, func(q *db.Queries) ([]events.Event, error) {
		row, err := q.LockForChange(ctx, id)
		if database.Missing(err) || err == nil && row.State == contract.TenantErased {
			return nil, contract.Missing("tenant")
		}
		if err != nil {
			return nil, err
		}
		if revision != 0 && revision != row.Revision {
			return nil, contract.Errorf(contract.Conflict, "the tenant was changed meanwhile, it is at revision %d; read it again", row.Revision)
		}
		row, done, err := work(q, row)
		if err != nil {
			return nil, err
		}
		state = tenantOf(row)
		return told(ctx, row, done)
	})
	if err != nil {
		return nil, err
	}
	a.Directory.PutTenant(state)
	return &state, nil
}

// told are the events of a changed tenant: its state for projections, and what
// was done for the audit trail.
func told(ctx context.Context, row db.TenantTenant, done changed) ([]events.Event, error) {
	if done.change == "" {
		return nil, nil
	}
	state, err := kit.NewEvent(ctx, events.TenantChanged, row.ID, row.Revision, tenantOf(row))
	if err != nil {
		return nil, err
	}
	administered, err := kit.NewEvent(ctx, events.TenantAdministered, row.ID, row.Revision,
		events.TenantChange{TenantID: row.ID, Change: done.change, Fields: done.fields, Reason: done.reason})
	return append([]events.Event{state, administered}, done.also...), err
}

// wrongState refuses what cannot be done to a tenant in its state.
func wrongState(row db.TenantTenant, verb string) error {
	return contract.Errorf(contract.Conflict, "a tenant in state %s cannot be %s", row.State, verb)
}
