package alerts

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Get answers audit.get_alert.
func (a *Alerts) Get(ctx context.Context, r *contract.AlertRequest) (*contract.AuditAlert, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var row db.AuditAlert
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		row, err = db.New(tx).Alert(ctx, db.AlertParams{TenantID: tenant, ID: kit.UUID(r.AlertID)})
		return err
	})
	if database.Missing(err) {
		return nil, contract.Missing("alert")
	}
	if err != nil {
		return nil, err
	}
	return alertOf(row)
}
