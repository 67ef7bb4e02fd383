package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// GetGroup answers rbac.get_group.
func (a *App) GetGroup(ctx context.Context, r *contract.GroupRequest) (*contract.Group, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var found contract.Group
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		row, err := group(ctx, db.New(tx), tenant, r.GroupID)
		found = groupOf(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &found, nil
}
