package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// SetLimits answers tenant.set_limits.
func (a *App) SetLimits(ctx context.Context, r *contract.SetTenantLimitsRequest) (*contract.Tenant, error) {
	limits := asJSON(&contract.Limits{
		Users: r.Users, Companies: r.Companies, Modules: r.Modules, StorageMB: r.StorageMB, RequestsPerMinute: r.RequestsPerMinute,
	})
	return a.changeTenant(ctx, r.TenantID, r.Revision, func(q *db.Queries, row db.TenantTenant) (db.TenantTenant, changed, error) {
		if sameJSON[contract.Limits](limits, row.Limits) {
			return row, changed{}, nil
		}
		row, err := q.LimitTenant(ctx, db.LimitTenantParams{ID: row.ID, Limits: limits})
		return row, changed{change: "limited", fields: []string{"limits"}}, err
	})
}
