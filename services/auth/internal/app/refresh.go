package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/refresh"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var errRefresh = &contract.Error{
	Code: contract.Unauthenticated, Field: "refresh_token", Message: "the refresh token is not valid any more; log in again",
}

// Refresh answers auth.refresh. A token that was spent a moment ago is answered
// like the first time, for its client may have raced with itself or missed the
// answer; one that was spent earlier is taken for stolen, and ends its session.
func (a *App) Refresh(ctx context.Context, r *contract.RefreshRequest) (*contract.LoginResponse, error) {
	t, err := refresh.Parse(r.RefreshToken)
	if err != nil || !t.Genuine(a.Box) {
		return nil, errRefresh
	}
	var response *contract.LoginResponse
	err = a.change(ctx, database.Everything, func(q *db.Queries) (happened []events.Event, err error) {
		response, happened, err = a.refresh(ctx, q, t)
		return happened, err
	})
	if database.Missing(err) || err == nil && response == nil {
		return nil, errRefresh
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

// refresh answers nil where the token is refused. The lock on the session makes
// those who race take turns.
func (a *App) refresh(ctx context.Context, q *db.Queries, t refresh.Token) (*contract.LoginResponse, []events.Event, error) {
	locked, err := q.LockSession(ctx, t.Session())
	if err != nil {
		return nil, nil, err
	}
	session := locked.AuthSession
	if !locked.Open {
		return nil, nil, nil
	}
	user, err := q.UserByID(ctx, session.UserID)
	if err != nil {
		return nil, nil, err
	}
	spent, err := q.RefreshTokenByMAC(ctx, a.stored(t, session))
	if err != nil && !database.Missing(err) {
		return nil, nil, err
	}
	unknown := err != nil // spent so long ago that it was forgotten
	if unknown || spent.SpentAt != nil && !spent.Graced {
		happened, err := a.reused(ctx, q, user, session)
		return nil, happened, err
	}
	tenant, ok, err := a.actingTenant(ctx, q, user, value(session.ActingTenant))
	if err != nil || !ok || user.DisabledAt != nil {
		return nil, nil, err // not spent: a tenant may be resumed
	}
	next, err := a.successor(ctx, q, session, t)
	if err != nil {
		return nil, nil, err
	}
	session, err = q.UseSession(ctx, db.UseSessionParams{
		ID: session.ID, ActingTenant: nullable(tenant.ID), Address: clientAddress(ctx), Agent: kit.ClientFrom(ctx).Agent,
	})
	if err != nil {
		return nil, nil, err
	}
	response, err := a.sessionTokens(user, session, tenant, next)
	return response, nil, err
}

// successor is the session's newest token, which follows t. Where t was spent a
// moment ago it is the one that whoever spent t was given, or, if that is spent
// as well by now, the one after: what is answered is good for more than the
// moment.
func (a *App) successor(ctx context.Context, q *db.Queries, session db.AuthSession, t refresh.Token) (refresh.Token, error) {
	for {
		row, err := q.RefreshTokenByMAC(ctx, a.stored(t, session))
		if err != nil {
			return t, err
		}
		next := t.Successor(a.Box)
		if row.SpentAt == nil {
			if err := q.SpendRefreshToken(ctx, t.Stored(a.Box)); err != nil {
				return t, err
			}
			if err := a.storeRefreshToken(ctx, q, session, next); err != nil {
				return t, err
			}
			return next, q.ForgetSpentRefreshTokens(ctx, session.ID)
		}
		newest, err := q.RefreshTokenByMAC(ctx, a.stored(next, session))
		if err != nil {
			return t, err
		}
		if newest.SpentAt == nil {
			return next, nil
		}
		t = next
	}
}

func (a *App) stored(t refresh.Token, session db.AuthSession) db.RefreshTokenByMACParams {
	return db.RefreshTokenByMACParams{Mac: t.Stored(a.Box), SessionID: session.ID}
}

// reused ends the session of a token that was spent before.
func (a *App) reused(ctx context.Context, q *db.Queries, user db.AuthUser, session db.AuthSession) ([]events.Event, error) {
	happened, err := a.endSession(ctx, q, user.ID, value(user.TenantID), session.ID, "refresh token reused")
	if err != nil {
		return nil, err
	}
	e, err := a.loginEvent(ctx, events.RefreshReused, user, events.Login{SessionID: session.ID})
	e.SetExtension(events.Outcome, "failure")
	return append(happened, e), err
}

// actingTenant is the active tenant that a session goes on in: the one it acts
// in, or the home tenant when the person has no place there any more. A
// platform administrator may be in none.
func (a *App) actingTenant(ctx context.Context, q *db.Queries, user db.AuthUser, acting string) (contract.Tenant, bool, error) {
	for _, id := range []string{acting, value(user.TenantID)} {
		tenant, ok, err := a.belongs(ctx, q, user, id)
		if err != nil || ok {
			return tenant, ok, err
		}
	}
	return contract.Tenant{}, user.Platform, nil
}

// belongs reports whether the user may act in the tenant, and it is active. It
// asks the database: this replica may not have heard of a membership yet.
func (a *App) belongs(ctx context.Context, q *db.Queries, user db.AuthUser, tenant string) (contract.Tenant, bool, error) {
	t, _ := a.Directory.Tenant(tenant)
	if !t.IsActive || user.Platform || tenant == value(user.TenantID) {
		return t, t.IsActive, nil
	}
	member, err := q.IsMember(ctx, db.IsMemberParams{UserID: user.ID, TenantID: tenant})
	return t, member, err
}
