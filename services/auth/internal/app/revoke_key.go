package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// RevokeKey answers auth.revoke_key. New uses are refused from the commit on;
// the event reaches the bridges' memories, and open bus connections are closed.
func (a *App) RevokeKey(ctx context.Context, r *contract.KeyRequest) (*contract.Empty, error) {
	err := a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		row, err := keyringOf(ctx).find(q.LockKey(ctx, r.ID))
		if err != nil {
			return nil, err
		}
		if row.RevokedAt != nil {
			return nil, errNoKey
		}
		return endKey(ctx, q, row, events.KeyChange{Reason: "revoked"})
	})
	if database.Missing(err) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	a.KeyRevoked(ctx, r.ID)
	return &contract.Empty{}, nil
}

// endKey revokes a key and tells why.
func endKey(ctx context.Context, q *db.Queries, row db.AuthApiKey, why events.KeyChange) ([]events.Event, error) {
	if err := q.EndKey(ctx, row.ID); err != nil {
		return nil, err
	}
	why.ID, why.Module = row.ID, row.Module
	ended, err := keyEvent(ctx, events.KeyEnded, row.Tenants, why)
	return []events.Event{ended}, err
}
