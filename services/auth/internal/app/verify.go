package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// VerifyFast answers auth.verify for a token and a user that are known.
func (a *App) VerifyFast(ctx context.Context, r *contract.VerifyRequest) (*contract.VerifyResponse, bool, error) {
	claims, ok := a.Verifier.Cached(r.Token)
	if !ok {
		return nil, false, nil
	}
	user, ok := a.people.get(claims.Subject)
	if !ok {
		return nil, false, nil
	}
	response, err := a.verified(ctx, claims, user)
	return response, true, err
}

// Verify answers auth.verify.
func (a *App) Verify(ctx context.Context, r *contract.VerifyRequest) (*contract.VerifyResponse, error) {
	claims, err := a.Verifier.Verify(ctx, r.Token)
	if err != nil {
		return nil, err
	}
	mark := a.people.mark()
	var row db.AuthUser
	err = a.read(ctx, func(q *db.Queries) (err error) {
		row, err = q.UserByID(ctx, claims.Subject)
		return err
	})
	if database.Missing(err) {
		return nil, contract.Missing("user")
	}
	if err != nil {
		return nil, err
	}
	user := contract.UserInfo{ID: row.ID, Email: row.Email, Username: row.Username, TenantID: value(row.TenantID)}
	a.people.put(user, mark)
	return a.verified(ctx, claims, user)
}

// verified gives the user out to a caller who may see their tenant.
func (a *App) verified(ctx context.Context, claims *token.Claims, user contract.UserInfo) (*contract.VerifyResponse, error) {
	tenant, err := a.Directory.VisibleUser(kit.PrincipalFrom(ctx), user.ID, claims.TenantID)
	if err != nil {
		return nil, err
	}
	user.TenantID, user.TenantCode = tenant.ID, tenant.Code
	return &contract.VerifyResponse{User: user}, nil
}
