package app

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// newPasswordInLogin checks and hashes the new password that a login waits for.
// The answer is counted first: hashing is work.
func (a *App) newPasswordInLogin(ctx context.Context, c *completion) (hash string, err error) {
	err = a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		_, err := a.tryChallenge(ctx, db.New(tx), c.challenge)
		return err
	})
	if err != nil {
		return "", err
	}
	return a.newPassword(ctx, c.user, "new_password", c.request.NewPassword)
}

// passwordInLogin makes the new password the account's. Whoever came in by the
// old one is out.
func (a *App) passwordInLogin(ctx context.Context, q *db.Queries, c *completion, now db.AuthUser) (db.AuthUser, []events.Event, error) {
	_, happened, err := a.endSessions(ctx, q, now, "", "password changed")
	if err != nil {
		return now, nil, err
	}
	if err := errors.Join(a.storePassword(ctx, q, now, c.hash), q.RemoveLinks(ctx, now.ID)); err != nil {
		return now, nil, err
	}
	member, told, err := a.administered(ctx, q, now.ID, "password_changed")
	if err != nil {
		return now, nil, err
	}
	c.member, c.demands.newPassword = member, false
	now, err = q.LockUser(ctx, now.ID)
	return now, append(happened, told...), err
}
