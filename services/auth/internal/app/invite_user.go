package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// InviteUser answers auth.invite_user.
func (a *App) InviteUser(ctx context.Context, r *contract.UserRequest) (*contract.UserDetail, error) {
	return a.administer(ctx, r, "invited", func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
		if user.PasswordHash != "" || user.LastLoginAt != nil {
			return nil, nil, contract.Errorf(contract.Conflict, "the user has set a password already; reset it instead")
		}
		if user.DisabledAt != nil {
			return nil, nil, contract.Errorf(contract.Conflict, "the user is disabled; enable them first")
		}
		return nil, nil, a.sendLink(ctx, q, user, inviteLink)
	})
}

// ResetUserPassword answers auth.reset_user_password.
func (a *App) ResetUserPassword(ctx context.Context, r *contract.UserRequest) (*contract.UserDetail, error) {
	return a.administer(ctx, r, "password_reset", func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
		_, ended, err := a.endSessions(ctx, q, user, "", "password reset by an administrator")
		if err != nil {
			return nil, nil, err
		}
		// Kept as the last one used, so that it is not set again.
		if user.PasswordHash != "" {
			err = q.AddPasswordHistory(ctx, db.AddPasswordHistoryParams{UserID: user.ID, TenantID: user.TenantID, PasswordHash: user.PasswordHash})
		}
		return nil, ended, errors.Join(err, q.EndPassword(ctx, user.ID), a.sendLink(ctx, q, user, endedLink))
	})
}
