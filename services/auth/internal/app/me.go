package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// Me answers auth.me.
func (a *App) Me(ctx context.Context, _ *contract.MeRequest) (*contract.MeResponse, error) {
	var response *contract.MeResponse
	err := a.read(ctx, func(q *db.Queries) error {
		user, err := q.UserByID(ctx, kit.UserFrom(ctx).ID)
		if err != nil {
			return err
		}
		response, err = a.me(ctx, q, user)
		return err
	})
	if database.Missing(err) {
		return nil, contract.Missing("user")
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

func (a *App) me(ctx context.Context, q *db.Queries, user db.AuthUser) (*contract.MeResponse, error) {
	caller := kit.UserFrom(ctx)
	tenant, _ := a.Directory.Tenant(caller.TenantID)
	detail, err := userDetail(ctx, q, user.ID)
	if err != nil {
		return nil, err
	}
	return &contract.MeResponse{
		User: *detail, TenantID: caller.TenantID, TenantCode: tenant.Code, SessionID: caller.SessionID,
	}, nil
}
