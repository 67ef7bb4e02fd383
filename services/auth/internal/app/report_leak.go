package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// ReportLeak answers auth.report_leak: the same for every key.
func (a *App) ReportLeak(ctx context.Context, r *contract.ReportLeakRequest) (*contract.Empty, error) {
	key, err := contract.ParseAPIKey(r.APIKey)
	if err != nil {
		return &contract.Empty{}, nil //nolint:nilerr // what is no key is answered like one that is
	}
	leaked := false
	err = a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		row, err := q.LockKey(ctx, key.ID)
		leaked = err == nil && row.RevokedAt == nil && a.Box.Matches(key.Reveal(), row.SecretHmac)
		if !leaked {
			return nil, err
		}
		return endKey(ctx, q, row, events.KeyChange{Reason: "leaked", Where: r.Where, Address: clientAddress(ctx)})
	})
	if err != nil && !database.Missing(err) {
		return nil, err
	}
	if leaked {
		a.KeyRevoked(ctx, key.ID)
	}
	return &contract.Empty{}, nil
}
