package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var errLink = &contract.Error{
	Code: contract.Unauthenticated, Field: "token", Message: "the link is not valid or no more; ask for a new one",
}

// ConfirmPasswordReset answers auth.confirm_password_reset. Only a link that is
// good has a password looked at, and only a good password uses it up.
func (a *App) ConfirmPasswordReset(ctx context.Context, r *contract.ConfirmPasswordResetRequest) (*contract.Empty, error) {
	mac := a.linkMAC(r.Token)
	var user db.AuthUser
	err := a.read(ctx, func(q *db.Queries) error {
		link, err := q.LinkByMAC(ctx, mac)
		if err != nil {
			return err
		}
		user, err = q.UserByID(ctx, link.UserID)
		return err
	})
	if database.Missing(err) || err == nil && user.DisabledAt != nil {
		return nil, errLink
	}
	if err != nil {
		return nil, err
	}
	hash, err := a.newPassword(ctx, user, "new_password", r.NewPassword)
	if err != nil {
		return nil, err
	}
	var member contract.Member
	err = a.change(ctx, scopeOf(value(user.TenantID)), func(q *db.Queries) ([]events.Event, error) {
		now, err := q.LockUser(ctx, user.ID)
		if err != nil {
			return nil, err
		}
		if _, err := q.TakeLink(ctx, mac); err != nil { // used by another request meanwhile
			return nil, err
		}
		_, ended, endErr := a.endSessions(ctx, q, now, "", "password reset")
		if err := errors.Join(endErr, a.storePassword(ctx, q, now, hash), q.RemoveLinks(ctx, now.ID), a.clearAttempts(ctx, q, now.Email), a.clearAttempts(ctx, q, resetAttempts(now.Email))); err != nil {
			return nil, err
		}
		var told []events.Event
		member, told, err = a.administered(ctx, q, now.ID, "password_set_by_link")
		return append(ended, told...), err
	})
	if database.Missing(err) {
		return nil, errLink
	}
	if err != nil {
		return nil, err
	}
	a.applied(member)
	return &contract.Empty{}, nil
}
