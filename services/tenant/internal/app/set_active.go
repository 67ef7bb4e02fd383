package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// SetActive answers tenant.set_active.
func (a *App) SetActive(ctx context.Context, r *contract.SetTenantActiveRequest) (*contract.Tenant, error) {
	id := kit.UUID(r.TenantID)
	var tenant contract.Tenant
	err := a.Store.Change(ctx, id, func(q *db.Queries) ([]events.Event, error) {
		row, err := q.SetTenantActive(ctx, db.SetTenantActiveParams{ID: id, IsActive: r.Active})
		if err != nil {
			return nil, err
		}
		tenant = tenantOf(row)
		e, err := kit.NewEvent(ctx, events.TenantChanged, id, tenant.Revision, tenant)
		return []events.Event{e}, err
	})
	if database.Missing(err) {
		return nil, contract.Missing("tenant")
	}
	if err != nil {
		return nil, err
	}
	a.Directory.PutTenant(tenant)
	return &tenant, nil
}
