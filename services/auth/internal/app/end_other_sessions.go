package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// EndOtherSessions answers auth.end_other_sessions.
func (a *App) EndOtherSessions(ctx context.Context, _ *contract.EndOtherSessionsRequest) (*contract.EndedSessions, error) {
	caller, response := kit.UserFrom(ctx), &contract.EndedSessions{}
	err := a.change(ctx, database.Everything, func(q *db.Queries) (happened []events.Event, err error) {
		user, err := q.LockUser(ctx, caller.ID) // a login in the same moment waits, and stays
		if err != nil {
			return nil, err
		}
		response.Ended, happened, err = a.endSessions(ctx, q, user, caller.SessionID, "ended by its user")
		return happened, err
	})
	if database.Missing(err) {
		return nil, contract.Missing("user")
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}
