package alerts

import (
	"cmp"
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// List answers audit.list_alerts. The cursor is the id of the last one.
func (a *Alerts) List(ctx context.Context, r *contract.ListAlertsRequest) (*contract.ListAlertsResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	after, err := uuid.Parse(cmp.Or(r.Cursor, uuid.Nil.String()))
	if err != nil {
		return nil, contract.Invalid("cursor", "is not a cursor that this operation gave out")
	}
	limit := cmp.Or(r.Limit, 50)
	var rows []db.AuditAlert
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		rows, err = db.New(tx).ListAlerts(ctx, db.ListAlertsParams{
			TenantID: tenant, AfterID: after.String(), Search: r.Search, Page: int32(limit) + 1,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &contract.ListAlertsResponse{Items: []contract.AuditAlert{}}
	if len(rows) > limit {
		rows = rows[:limit]
		response.NextCursor = rows[limit-1].ID
	}
	for _, row := range rows {
		alert, err := alertOf(row)
		if err != nil {
			return nil, err
		}
		response.Items = append(response.Items, *alert)
	}
	return response, nil
}
