package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// ChangePassword answers auth.change_password.
func (a *App) ChangePassword(ctx context.Context, r *contract.ChangePasswordRequest) (*contract.Empty, error) {
	caller := kit.UserFrom(ctx)
	user, err := a.provePassword(ctx, "current_password", r.CurrentPassword)
	if err != nil {
		return nil, err
	}
	hash, err := a.newPassword(ctx, user, "new_password", r.NewPassword)
	if err != nil {
		return nil, err
	}
	var member contract.Member
	err = a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		now, err := q.LockUser(ctx, user.ID)
		if err != nil {
			return nil, err
		}
		if now.PasswordHash != user.PasswordHash {
			return nil, contract.Errorf(contract.Conflict, "the password was changed meanwhile; log in again")
		}
		_, ended, endErr := a.endSessions(ctx, q, now, caller.SessionID, "password changed")
		if err := errors.Join(endErr, a.storePassword(ctx, q, now, hash), q.RemoveLinks(ctx, user.ID)); err != nil {
			return nil, err
		}
		var told []events.Event
		member, told, err = a.administered(ctx, q, user.ID, "password_changed")
		return append(ended, told...), err
	})
	if err != nil {
		return nil, err
	}
	a.applied(member)
	return &contract.Empty{}, nil
}

// provePassword has the caller prove who they are by their password; wrong ones
// count as failed logins do. field names the request's field in errors.
func (a *App) provePassword(ctx context.Context, field, plain string) (user db.AuthUser, err error) {
	err = a.read(ctx, func(q *db.Queries) (err error) {
		user, err = q.UserByID(ctx, kit.UserFrom(ctx).ID)
		return err
	})
	if err != nil {
		return user, err
	}
	refund, err := a.reserveAttempt(ctx, user.Email)
	if err != nil {
		return user, err
	}
	match, err := a.Hasher.Verify(ctx, user.PasswordHash, plain)
	if err != nil {
		return user, errors.Join(busy(err), refund(context.WithoutCancel(ctx)))
	}
	if !match {
		return user, &contract.Error{Code: contract.PermissionDenied, Field: field, Message: "the password is wrong"}
	}
	return user, refund(ctx)
}
