package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Restore answers tenant.restore: the tenant is what it was before its deletion.
func (a *App) Restore(ctx context.Context, r *contract.TenantReasonRequest) (*contract.Tenant, error) {
	return a.changeTenant(ctx, r.TenantID, 0, func(q *db.Queries, row db.TenantTenant) (db.TenantTenant, changed, error) {
		if row.State != contract.TenantDeleting {
			return row, changed{}, wrongState(row, "restored")
		}
		row, err := q.SetTenantState(ctx, db.SetTenantStateParams{ID: row.ID, State: row.RestoreTo})
		return row, changed{change: "restored", reason: r.Reason}, err
	})
}
