package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// DisableUser answers auth.disable_user.
func (a *App) DisableUser(ctx context.Context, r *contract.UserRequest) (*contract.UserDetail, error) {
	return a.administer(ctx, r, "disabled", func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
		if err := notOneself(ctx, user, "disable"); err != nil {
			return nil, nil, err
		}
		_, ended, err := a.endSessions(ctx, q, user, "", "user disabled")
		return nil, ended, errors.Join(err, q.DisableUser(ctx, user.ID), q.RemoveLinks(ctx, user.ID))
	})
}

// EnableUser answers auth.enable_user.
func (a *App) EnableUser(ctx context.Context, r *contract.UserRequest) (*contract.UserDetail, error) {
	return a.administer(ctx, r, "enabled", func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
		return nil, nil, q.EnableUser(ctx, user.ID)
	})
}

// UnlockUser answers auth.unlock_user.
func (a *App) UnlockUser(ctx context.Context, r *contract.UserRequest) (*contract.UserDetail, error) {
	return a.administer(ctx, r, "unlocked", func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
		return nil, nil, a.clearAttempts(ctx, q, user.Email)
	})
}

// EndUserSessions answers auth.end_user_sessions.
func (a *App) EndUserSessions(ctx context.Context, r *contract.UserRequest) (*contract.UserDetail, error) {
	return a.administer(ctx, r, "sessions_ended", func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
		_, ended, err := a.endSessions(ctx, q, user, "", "ended by an administrator")
		return nil, ended, err
	})
}

// ResetUserFactors answers auth.reset_user_factors.
func (a *App) ResetUserFactors(ctx context.Context, r *contract.UserRequest) (*contract.UserDetail, error) {
	return a.administer(ctx, r, "factors_reset", func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
		if err := removeFactors(ctx, q, user.ID); err != nil {
			return nil, nil, err
		}
		_, ended, err := a.endSessions(ctx, q, user, "", "second factors reset")
		return nil, ended, err
	})
}

func removeFactors(ctx context.Context, q *db.Queries, user string) error {
	_, totpErr := q.RemoveTOTP(ctx, user)
	_, passkeyErr := q.RemovePasskeys(ctx, user)
	return errors.Join(totpErr, passkeyErr, q.RemoveRecoveryCodes(ctx, user))
}
