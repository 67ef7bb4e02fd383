package retention

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Set answers audit.set_retention.
func (r *Retention) Set(ctx context.Context, request *contract.SetRetentionRequest) (*contract.Retention, error) {
	tenant := kit.UUID(request.TenantID)
	if err := r.known(ctx, tenant); err != nil {
		return nil, err
	}
	var row db.AuditRetention
	err := r.cfg.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		was, err := q.LockRetention(ctx, tenant)
		if err != nil {
			return err
		}
		if request.Revision != 0 && request.Revision != was.Revision {
			return contract.Errorf(contract.Conflict, "the rule was changed meanwhile, it is at revision %d; read it again", was.Revision)
		}
		next := db.SetRetentionParams{TenantID: tenant, Reason: request.Reason}
		if request.KeepDays != nil {
			days := int32(*request.KeepDays)
			next.KeepDays = &days
		}
		if by := kit.UserFrom(ctx).ID; by != "" {
			next.SetBy = &by
		}
		if row, err = q.SetRetention(ctx, next); err != nil {
			return err
		}
		e, err := kit.NewEvent(ctx, events.RetentionChanged, "", row.Revision, events.RetentionChange{
			TenantID: tenant, KeepDays: request.KeepDays, Reason: request.Reason,
		})
		if err != nil {
			return err
		}
		return outbox.Add(ctx, tx, e)
	})
	if err != nil {
		return nil, err
	}
	r.cfg.Committed()
	return r.ruleOf(tenant, row), nil
}
