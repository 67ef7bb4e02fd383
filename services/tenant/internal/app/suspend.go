package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Suspend answers tenant.suspend. One that is suspended stays so.
func (a *App) Suspend(ctx context.Context, r *contract.TenantReasonRequest) (*contract.Tenant, error) {
	return a.changeTenant(ctx, r.TenantID, 0, func(q *db.Queries, row db.TenantTenant) (db.TenantTenant, changed, error) {
		switch row.State {
		case contract.TenantSuspended:
			return row, changed{}, nil
		case contract.TenantActive:
			row, err := q.SetTenantState(ctx, db.SetTenantStateParams{ID: row.ID, State: contract.TenantSuspended, Reason: r.Reason})
			return row, changed{change: "suspended", reason: r.Reason}, err
		}
		return row, changed{}, wrongState(row, "suspended")
	})
}

// Resume answers tenant.resume. One that is active stays so.
func (a *App) Resume(ctx context.Context, r *contract.TenantReasonRequest) (*contract.Tenant, error) {
	return a.changeTenant(ctx, r.TenantID, 0, func(q *db.Queries, row db.TenantTenant) (db.TenantTenant, changed, error) {
		switch row.State {
		case contract.TenantActive:
			return row, changed{}, nil
		case contract.TenantSuspended:
			row, err := q.SetTenantState(ctx, db.SetTenantStateParams{ID: row.ID, State: contract.TenantActive})
			return row, changed{change: "resumed", reason: r.Reason}, err
		}
		return row, changed{}, wrongState(row, "resumed")
	})
}
