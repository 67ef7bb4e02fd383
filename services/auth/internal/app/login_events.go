package app

import (
	"context"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// loginEvent makes an event of a login attempt or a session: who, from where,
// with what. It belongs to the account's home tenant.
func (a *App) loginEvent(ctx context.Context, kind events.Kind, user db.AuthUser, data events.Login) (events.Event, error) {
	data.UserID, data.Address, data.Agent = user.ID, clientAddress(ctx), kit.ClientFrom(ctx).Agent
	return kit.NewEvent(ctx, kind, value(user.TenantID), user.Revision, data)
}

// failLogin records a failed attempt and returns the refusal. The account is
// empty where none has the address; only then the event names the address, for
// events hold no personal data of those who have an account.
func (a *App) failLogin(ctx context.Context, user db.AuthUser, email, reason string, refusal error) error {
	data := events.Login{Reason: reason}
	if user.ID == "" {
		data.Email = email
	}
	err := a.change(ctx, database.Everything, func(*db.Queries) ([]events.Event, error) {
		e, err := a.loginEvent(ctx, events.LoginFailed, user, data)
		e.SetExtension(events.Outcome, "failure")
		return []events.Event{e}, err
	})
	if err != nil {
		return err
	}
	return refusal
}

// clientAddress is where the request came from, empty when it is not known.
func clientAddress(ctx context.Context) string {
	address := kit.ClientFrom(ctx).Address
	if !address.IsValid() {
		return ""
	}
	return address.Unmap().WithZone("").String()
}
