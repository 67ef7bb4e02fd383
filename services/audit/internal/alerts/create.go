package alerts

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Create answers audit.create_alert.
func (a *Alerts) Create(ctx context.Context, r *contract.CreateAlertRequest) (*contract.AuditAlert, error) {
	name, err := nameOf(r.Name)
	if err != nil {
		return nil, err
	}
	rule, err := json.Marshal(completed(r.Rule))
	if err != nil {
		return nil, err
	}
	return a.change(ctx, r.TenantID, func(q *db.Queries, tenant string) (row db.AuditAlert, change events.AlertChange, err error) {
		if _, err = q.LockAlerts(ctx, tenant); err != nil {
			return row, change, err
		}
		there, err := q.CountAlerts(ctx, tenant)
		if err != nil {
			return row, change, err
		}
		if there >= maxAlerts {
			return row, change, contract.Errorf(contract.Conflict, "the tenant has %d alerts, as many as it may; delete one", there)
		}
		end, err := q.TrailEnd(ctx, tenant)
		if err != nil {
			return row, change, err
		}
		row, err = q.CreateAlert(ctx, db.CreateAlertParams{
			TenantID: tenant, ID: kit.NewID(), Name: name, Rule: rule, Enabled: !r.Disabled, FromSeq: end, CreatedBy: personOf(ctx),
		})
		return row, events.AlertChange{Change: "created"}, err
	})
}

// nameOf is a name as it is kept.
func nameOf(name string) (string, error) {
	if name = strings.TrimSpace(name); name == "" {
		return "", contract.Invalid("name", "is required")
	}
	return name, nil
}
