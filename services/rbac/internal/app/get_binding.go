package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// GetBinding answers rbac.get_binding.
func (a *App) GetBinding(ctx context.Context, r *contract.BindingRequest) (*contract.Binding, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var found contract.Binding
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		row, err := binding(ctx, db.New(tx), tenant, r.BindingID)
		found = bindingOf(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &found, nil
}
