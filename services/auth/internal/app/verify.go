package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// Sessions knows which sessions have ended; *revocation.List does.
// Implementations are safe for concurrent use.
type Sessions interface {
	// Fresh reports whether a session that is not Revoked is open. Neither
	// blocks.
	Fresh() bool
	Revoked(session string) bool
	// Check is nil for an open session, unauthenticated for any other, and
	// another error when that cannot be found out.
	Check(ctx context.Context, session, tenant string) error
	// Put takes in that sessions ended.
	Put(ended events.EndedSessions)
}

// VerifyFast answers auth.verify for a token, a user and a policy that are
// known, without asking anybody.
func (a *App) VerifyFast(ctx context.Context, r *contract.VerifyRequest) (*contract.VerifyResponse, bool, error) {
	module := kit.PrincipalFrom(ctx).Module
	claims, ok := a.Verifier.CachedFor(r.Token, module)
	if !ok || !a.Sessions.Fresh() || a.Sessions.Revoked(claims.SessionID) {
		return nil, false, nil
	}
	user, ok := a.people.get(claims.Subject)
	if !ok {
		return nil, false, nil
	}
	if ordinary(claims, module) {
		policy, ok := a.cachedSignInPolicy(claims.TenantID)
		if !ok {
			return nil, false, nil
		}
		if !policy.AcceptAccessTokens {
			return nil, true, errOrdinary
		}
	}
	response, err := a.verified(ctx, claims, user)
	return response, true, err
}

// Verify answers auth.verify.
func (a *App) Verify(ctx context.Context, r *contract.VerifyRequest) (*contract.VerifyResponse, error) {
	module := kit.PrincipalFrom(ctx).Module
	claims, err := a.Verifier.VerifyFor(ctx, r.Token, module)
	if err != nil {
		return nil, err
	}
	user, err := a.person(ctx, claims.Subject)
	if err != nil {
		return nil, err
	}
	// Whom the caller may not see is not found, whatever the token is like.
	response, err := a.verified(ctx, claims, user)
	if err != nil {
		return nil, err
	}
	err = a.Sessions.Check(ctx, claims.SessionID, claims.TenantID)
	if errors.Is(err, &contract.Error{Code: contract.Unauthenticated}) {
		return nil, errSession
	}
	if err != nil {
		return nil, err
	}
	if ordinary(claims, module) {
		policy, err := a.signInPolicy(ctx, claims.TenantID)
		if err != nil {
			return nil, err
		}
		if !policy.AcceptAccessTokens {
			return nil, errOrdinary
		}
	}
	return response, nil
}

// ordinary reports whether a module shows a token that was not made for it.
func ordinary(claims *token.Claims, module string) bool { return module != "" && claims.Module() == "" }

var errSession = &contract.Error{
	Code: contract.Unauthenticated, Field: "token", Message: "belongs to a session that has ended; log in again",
}

var errOrdinary = &contract.Error{
	Code: contract.Unauthenticated, Field: "token",
	Message: "is an ordinary access token, which the tenant's policy refuses to modules; ask for one with auth.module_token",
}

// person reads a user, from memory if they are known.
func (a *App) person(ctx context.Context, id string) (contract.UserInfo, error) {
	if user, ok := a.people.get(id); ok {
		return user, nil
	}
	mark := a.people.mark()
	var row db.AuthUser
	err := a.read(ctx, func(q *db.Queries) (err error) {
		row, err = q.UserByID(ctx, id)
		return err
	})
	if database.Missing(err) {
		return contract.UserInfo{}, contract.Missing("user")
	}
	if err != nil {
		return contract.UserInfo{}, err
	}
	user := contract.UserInfo{ID: row.ID, Email: row.Email, Username: row.Username}
	a.people.put(user, mark)
	return user, nil
}

// verified gives the user out to a caller who may see them in the tenant that
// the token acts in. A platform administrator who acts in none is seen by
// services alone.
func (a *App) verified(ctx context.Context, claims *token.Claims, user contract.UserInfo) (*contract.VerifyResponse, error) {
	principal := kit.PrincipalFrom(ctx)
	switch {
	case claims.TenantID != "":
		tenant, err := a.Directory.VisibleUser(ctx, user.ID, claims.TenantID)
		if err != nil {
			return nil, err
		}
		user.TenantID, user.TenantCode = tenant.ID, tenant.Code
	case principal.Kind != kit.KindService || !a.Directory.Platform(user.ID):
		return nil, contract.Missing("user")
	}
	expires := claims.ExpiresAt.UTC()
	return &contract.VerifyResponse{User: user, SessionID: claims.SessionID, Scope: claims.Scope, ExpiresAt: &expires}, nil
}
