package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
)

// DeleteBinding answers rbac.delete_binding.
func (a *App) DeleteBinding(ctx context.Context, r *contract.DeleteBindingRequest) (*contract.RevisionResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	revision, err := a.change(ctx, tenant, "binding.deleted", func(t *turn) ([]contract.PolicyChange, error) {
		row, err := binding(ctx, t.Q, t.Tenant, r.BindingID)
		if err == nil {
			err = unchanged("binding", row.Revision, r.Revision)
		}
		if err != nil {
			return nil, err
		}
		changes, err := t.revoke(ctx, []string{row.ID}, func(int) string { return "binding_id" })
		if err != nil {
			return nil, err
		}
		unbound, err := t.unbound(ctx, []string{row.RoleID})
		return append(changes, unbound...), err
	})
	if err != nil {
		return nil, err
	}
	return &contract.RevisionResponse{Revision: revision}, nil
}
