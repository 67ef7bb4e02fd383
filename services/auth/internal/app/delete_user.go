package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// DeleteUser answers auth.delete_user. The tombstone keeps what the audit trail
// is read by; everything that could log in is gone.
func (a *App) DeleteUser(ctx context.Context, r *contract.UserRequest) (*contract.Empty, error) {
	_, err := a.administer(ctx, r, "deleted", func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
		if err := notOneself(ctx, user, "delete"); err != nil {
			return nil, nil, err
		}
		_, ended, err := a.endSessions(ctx, q, user, "", "user deleted")
		if err != nil {
			return nil, nil, err
		}
		err = errors.Join(
			removeFactors(ctx, q, user.ID), q.RemovePasswordHistory(ctx, user.ID), q.RemoveLinks(ctx, user.ID),
			a.clearAttempts(ctx, q, user.Email), q.Widen(ctx), q.RemoveMemberships(ctx, user.ID),
		)
		if err == nil {
			_, err = q.DeleteUser(ctx, user.ID)
		}
		return nil, ended, err
	})
	if err != nil {
		return nil, err
	}
	return &contract.Empty{}, nil
}
