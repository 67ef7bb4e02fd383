package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
)

// CreateBinding answers rbac.create_binding.
func (a *App) CreateBinding(ctx context.Context, r *contract.CreateBindingRequest) (*contract.Binding, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	g, err := readGrant(contract.BindingFields{
		UserID: string(r.UserID), GroupID: string(r.GroupID), RoleID: string(r.RoleID), Role: r.Role, Effect: r.Effect,
		UnitID: string(r.UnitID), ResourceType: r.ResourceType, ResourceID: string(r.ResourceID), ExpiresAt: r.ExpiresAt,
	}, "")
	if err != nil {
		return nil, err
	}
	all := []grant{g}
	if err := a.awaitSubjects(ctx, tenant, all); err != nil {
		return nil, err
	}
	var made []contract.Binding
	_, err = a.change(ctx, tenant, "binding.created", func(t *turn) (changes []contract.PolicyChange, err error) {
		made, changes, err = a.give(ctx, t, all)
		return changes, err
	})
	if err != nil {
		return nil, err
	}
	return &made[0], nil
}
