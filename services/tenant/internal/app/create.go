package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Create answers tenant.create.
func (a *App) Create(ctx context.Context, r *contract.CreateTenantRequest) (*contract.Tenant, error) {
	id := kit.NewID()
	var tenant contract.Tenant
	err := a.Store.Change(ctx, id, func(q *db.Queries) ([]events.Event, error) {
		row, err := q.CreateTenant(ctx, db.CreateTenantParams{ID: id, Code: r.Code, Name: r.Name})
		if err != nil {
			return nil, err
		}
		tenant = tenantOf(row)
		e, err := kit.NewEvent(ctx, events.TenantChanged, id, tenant.Revision, tenant)
		return []events.Event{e}, err
	})
	if _, duplicate := database.Duplicate(err); duplicate {
		return nil, &contract.Error{Code: contract.AlreadyExists, Field: "code", Message: "a tenant of this code exists"}
	}
	if err != nil {
		return nil, err
	}
	a.Directory.PutTenant(tenant)
	return &tenant, nil
}
