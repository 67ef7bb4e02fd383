package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// GetUser answers auth.get_user.
func (a *App) GetUser(ctx context.Context, r *contract.UserRequest) (*contract.UserDetail, error) {
	scope, err := a.scope(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var detail *contract.UserDetail
	err = a.DB.Read(ctx, scope, func(tx pgx.Tx) (err error) {
		detail, err = userDetail(ctx, db.New(tx), kit.UUID(r.UserID))
		return err
	})
	if database.Missing(err) {
		return nil, contract.Missing("user")
	}
	return detail, err
}
