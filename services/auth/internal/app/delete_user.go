package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// DeleteUser answers auth.delete_user.
func (a *App) DeleteUser(ctx context.Context, r *contract.UserRequest) (*contract.Empty, error) {
	tenant, err := a.tenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var member contract.Member
	err = a.change(ctx, tenant, func(q *db.Queries) ([]events.Event, error) {
		user, err := q.DeleteUser(ctx, kit.UUID(r.UserID))
		if err != nil {
			return nil, err
		}
		var changed events.Event
		member, changed, err = a.userChanged(ctx, q, user.ID)
		return []events.Event{changed}, err
	})
	if database.Missing(err) {
		return nil, contract.Missing("user")
	}
	if err != nil {
		return nil, err
	}
	a.applied(member)
	return &contract.Empty{}, nil
}
