package app

import (
	"context"
	"slices"

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
	member, err := q.MemberByID(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	factors, err := a.secondFactors(ctx, q, user.ID)
	if err != nil {
		return nil, err
	}
	factors = slices.DeleteFunc(factors, func(f string) bool { return f == "recovery_code" })
	return &contract.MeResponse{
		User: contract.UserDetail{
			ID: user.ID, TenantID: value(user.TenantID), Tenants: member.Tenants, Platform: user.Platform,
			Email: user.Email, Username: user.Username, Name: user.Name, Status: "active",
			MustChangePassword: user.MustChangePassword, SecondFactors: factors,
			LastLoginAt: user.LastLoginAt, CreatedAt: user.CreatedAt, Revision: user.Revision,
		},
		TenantID: caller.TenantID, TenantCode: tenant.Code, SessionID: caller.SessionID,
	}, nil
}
