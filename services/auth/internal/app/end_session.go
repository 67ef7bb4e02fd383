package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// EndSession answers auth.end_session.
func (a *App) EndSession(ctx context.Context, r *contract.EndSessionRequest) (*contract.Empty, error) {
	if err := a.endOwnSession(ctx, kit.UUID(r.SessionID), "ended by its user"); err != nil {
		return nil, err
	}
	return &contract.Empty{}, nil
}

// endOwnSession ends a session of the caller; any other is not_found.
func (a *App) endOwnSession(ctx context.Context, session, reason string) error {
	err := a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		user, err := q.UserByID(ctx, kit.UserFrom(ctx).ID)
		if err != nil {
			return nil, err
		}
		return a.endSession(ctx, q, user.ID, value(user.TenantID), session, reason)
	})
	if database.Missing(err) {
		return contract.Missing("session")
	}
	return err
}
