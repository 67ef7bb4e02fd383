package alerts

import (
	"context"
	"encoding/json"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Update answers audit.update_alert.
func (a *Alerts) Update(ctx context.Context, r *contract.UpdateAlertRequest) (*contract.AuditAlert, error) {
	return a.change(ctx, r.TenantID, func(q *db.Queries, tenant string) (row db.AuditAlert, change events.AlertChange, err error) {
		change.Change = "updated"
		if _, err = q.LockAlerts(ctx, tenant); err != nil {
			return row, change, err
		}
		if row, err = lock(ctx, q, tenant, r.AlertID, r.Revision); err != nil {
			return row, change, err
		}
		next := db.UpdateAlertParams{TenantID: tenant, ID: row.ID, Name: row.Name, Rule: row.Rule, Enabled: row.Enabled, FromSeq: row.FromSeq}
		if r.Name != nil {
			if next.Name, err = nameOf(*r.Name); err != nil {
				return row, change, err
			}
			change.Fields = append(change.Fields, "name")
		}
		if r.Enabled != nil && *r.Enabled != row.Enabled {
			next.Enabled = *r.Enabled
			change.Fields = append(change.Fields, "enabled")
		}
		if r.Rule != nil {
			if next.Rule, err = json.Marshal(completed(*r.Rule)); err != nil {
				return row, change, err
			}
			change.Fields = append(change.Fields, "rule")
		}
		if r.Rule != nil || next.Enabled != row.Enabled { // it counts anew
			if next.FromSeq, err = q.TrailEnd(ctx, tenant); err != nil {
				return row, change, err
			}
			if err = q.ForgetAlertCounts(ctx, db.ForgetAlertCountsParams{TenantID: tenant, AlertID: row.ID}); err != nil {
				return row, change, err
			}
		}
		row, err = q.UpdateAlert(ctx, next)
		return row, change, err
	})
}
