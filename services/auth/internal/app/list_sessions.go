package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// ListSessions answers auth.list_sessions.
func (a *App) ListSessions(ctx context.Context, _ *contract.ListSessionsRequest) (*contract.ListSessionsResponse, error) {
	caller, response := kit.UserFrom(ctx), &contract.ListSessionsResponse{Items: []contract.Session{}}
	err := a.read(ctx, func(q *db.Queries) error {
		rows, err := q.ListSessions(ctx, caller.ID)
		for _, s := range rows {
			response.Items = append(response.Items, contract.Session{
				ID: s.ID, Current: s.ID == caller.SessionID, Address: s.Address, Agent: s.Agent, Methods: s.Methods,
				CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, ExpiresAt: s.ExpiresAt,
			})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
