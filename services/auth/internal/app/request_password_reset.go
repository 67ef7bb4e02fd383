package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// RequestPasswordReset answers auth.request_password_reset, at once and for
// every address alike: whether there is such an account is found out after the
// answer. Requests count as attempts do, so that nobody's mailbox is flooded.
func (a *App) RequestPasswordReset(ctx context.Context, r *contract.RequestPasswordResetRequest) (*contract.Empty, error) {
	email := normaliseEmail(r.Email)
	if _, err := a.reserveAttempt(ctx, resetAttempts(email)); err != nil {
		return nil, err
	}
	if !a.background(ctx, func(ctx context.Context) error { return a.sendReset(ctx, email) }) {
		return nil, contract.Errorf(contract.RateLimited, "too many requests at once; try again")
	}
	return &contract.Empty{}, nil
}

// resetAttempts is what an account's requests for a reset are counted under.
func resetAttempts(email string) string { return "reset " + email }

// sendReset queues the e-mail, if there is an account that may have one.
func (a *App) sendReset(ctx context.Context, email string) error {
	user, err := a.accountOf(ctx, email)
	if err != nil || user.ID == "" || user.DisabledAt != nil {
		return err
	}
	purpose := resetLink
	if user.PasswordHash == "" && user.LastLoginAt == nil {
		purpose = inviteLink
	}
	err = a.change(ctx, scopeOf(value(user.TenantID)), func(q *db.Queries) ([]events.Event, error) {
		if _, err := q.LockUser(ctx, user.ID); err != nil {
			return nil, err
		}
		if err := a.sendLink(ctx, q, user, purpose); err != nil {
			return nil, err
		}
		e, err := kit.NewEvent(ctx, events.UserAdministered, value(user.TenantID), user.Revision,
			events.UserChange{UserID: user.ID, Change: "password_reset_requested"})
		return []events.Event{e}, err
	})
	if database.Missing(err) {
		return nil // deleted meanwhile
	}
	return err
}
