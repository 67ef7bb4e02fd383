package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// SetModule answers tenant.set_module.
func (a *App) SetModule(ctx context.Context, r *contract.SetTenantModuleRequest) (*contract.Activation, error) {
	if contract.ReservedModule(r.ModuleName) {
		return nil, contract.Invalid("module_name", "%q is a name of the platform itself", r.ModuleName)
	}
	id := kit.UUID(r.TenantID)
	var activation contract.Activation
	err := a.Store.Change(ctx, id, func(q *db.Queries) ([]events.Event, error) {
		if _, err := q.LockTenant(ctx, id); err != nil {
			return nil, err
		}
		row, err := q.SetModule(ctx, db.SetModuleParams{TenantID: id, Module: r.ModuleName, Enabled: r.Enabled})
		if err != nil {
			return nil, err
		}
		activation = store.ActivationOf(row)
		e, err := kit.NewEvent(ctx, events.ModuleChanged, id, activation.Revision, activation)
		return []events.Event{e}, err
	})
	if database.Missing(err) {
		return nil, contract.Missing("tenant")
	}
	if err != nil {
		return nil, err
	}
	a.Directory.PutActivation(activation)
	return &activation, nil
}
