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
		id, err := q.RevokeKey(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		ended, err := event(ctx, events.KeyEnded, "", 0, events.KeyChange{ID: id})
		return []events.Event{ended}, err
	})
	if database.Missing(err) {
		return nil, contract.Missing("API key")
	}
	if err != nil {
		return nil, err
	}
	a.KeyRevoked(ctx, r.ID)
	return &contract.Empty{}, nil
}
