package alerts

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Delete answers audit.delete_alert.
func (a *Alerts) Delete(ctx context.Context, r *contract.DeleteAlertRequest) (*contract.Empty, error) {
	_, err := a.change(ctx, r.TenantID, func(q *db.Queries, tenant string) (row db.AuditAlert, change events.AlertChange, err error) {
		change.Change = "deleted"
		if _, err = q.LockAlerts(ctx, tenant); err != nil {
			return row, change, err
		}
		if row, err = lock(ctx, q, tenant, r.AlertID, r.Revision); err != nil {
			return row, change, err
		}
		row.Revision++
		if err = q.ForgetAlertCounts(ctx, db.ForgetAlertCountsParams{TenantID: tenant, AlertID: row.ID}); err != nil {
			return row, change, err
		}
		return row, change, q.DeleteAlert(ctx, db.DeleteAlertParams{TenantID: tenant, ID: row.ID})
	})
	if err != nil {
		return nil, err
	}
	return &contract.Empty{}, nil
}
