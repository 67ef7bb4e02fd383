package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// GetRole answers rbac.get_role.
func (a *App) GetRole(ctx context.Context, r *contract.RoleRequest) (*contract.Role, error) {
	tenant, err := a.roleTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var found contract.Role
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		row, err := role(ctx, db.New(tx), tenant, r.RoleID)
		found = roleOf(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &found, nil
}
