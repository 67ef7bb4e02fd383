package retention

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Get answers audit.get_retention for the tenant whose trail the caller reads.
func (r *Retention) Get(ctx context.Context, tenant string) (*contract.Retention, error) {
	if err := r.known(ctx, tenant); err != nil {
		return nil, err
	}
	var row db.AuditRetention
	err := r.cfg.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		row, err = db.New(tx).Retention(ctx, tenant)
		return err
	})
	if err != nil && !database.Missing(err) {
		return nil, err
	}
	return r.ruleOf(tenant, row), nil
}
