package app

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/refresh"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// maxSessions is how many a person may have open; the least lately used one
// gives way to a new one.
const maxSessions = 100

// startSession begins a session of an account that proved who it is by
// methods, and returns its tokens and the events of it. It locks the account,
// so that whoever disables it ends this session too, and answers errLogin when
// that was done before. The failed attempts from this source are forgotten.
func (a *App) startSession(ctx context.Context, q *db.Queries, user db.AuthUser, methods []string) (*contract.LoginResponse, []events.Event, error) {
	user, err := q.LoggedIn(ctx, user.ID)
	if database.Missing(err) {
		return nil, nil, errLogin
	}
	if err != nil {
		return nil, nil, err
	}
	client := kit.ClientFrom(ctx)
	if err := a.throttle().Succeeded(ctx, q, user.Email, client.Address); err != nil {
		return nil, nil, err
	}
	session, err := q.CreateSession(ctx, db.CreateSessionParams{
		ID: kit.NewID(), UserID: user.ID, TenantID: user.TenantID, Methods: methods,
		Address: clientAddress(ctx), Agent: client.Agent,
	})
	if err != nil {
		return nil, nil, err
	}
	next, err := refresh.New(a.Box, session.ID, secret.Random(32))
	if err != nil {
		return nil, nil, err
	}
	if err := a.storeRefreshToken(ctx, q, session, next); err != nil {
		return nil, nil, err
	}
	ended, err := q.EndSurplusSessions(ctx, db.EndSurplusSessionsParams{
		UserID: user.ID, Most: maxSessions, Reason: "too many sessions", Keep: revokedFor.Seconds(),
	})
	if err != nil {
		return nil, nil, err
	}
	_, happened, err := a.sessionsEnded(ctx, user.ID, value(user.TenantID), "too many sessions", revoked(ended))
	if err != nil {
		return nil, nil, err
	}
	began, err := a.loginEvent(ctx, events.LoginSucceeded, user, events.Login{SessionID: session.ID, Methods: methods})
	if err != nil {
		return nil, nil, err
	}
	began.SetExtension(events.ActorID, user.ID)
	tenant, _ := a.Directory.Tenant(value(user.TenantID))
	response, err := a.sessionTokens(user, session, tenant, next)
	return response, append(happened, began), err
}

func (a *App) storeRefreshToken(ctx context.Context, q *db.Queries, session db.AuthSession, t refresh.Token) error {
	return q.AddRefreshToken(ctx, db.AddRefreshTokenParams{Mac: t.Stored(a.Box), SessionID: session.ID, TenantID: session.TenantID})
}

// sessionTokens are a session's next tokens. It is called in the transaction
// that found the session open: whoever ends it later knows that no token of it
// is younger.
func (a *App) sessionTokens(user db.AuthUser, session db.AuthSession, tenant contract.Tenant, next refresh.Token) (*contract.LoginResponse, error) {
	signed, err := a.Signer.Sign(user.ID, tenant.ID, session.ID)
	if err != nil {
		return nil, err
	}
	return &contract.LoginResponse{
		AccessToken: signed, TokenType: "Bearer", ExpiresIn: int(a.Signer.Lifetime.Seconds()),
		RefreshToken: next.Reveal(), RefreshExpiresIn: max(int(session.ExpiresAt.Sub(session.LastUsedAt)/time.Second), 0),
		SessionID: session.ID,
		User: &contract.UserInfo{
			ID: user.ID, Email: user.Email, Username: user.Username, TenantID: tenant.ID, TenantCode: tenant.Code,
		},
	}, nil
}
