package app

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

// Permissions answers rbac.permissions.
func (a *App) Permissions(ctx context.Context, r *contract.PermissionsRequest) (*contract.PermissionsResponse, error) {
	user := kit.UUID(r.UserID)
	tenant, err := a.Directory.VisibleUser(ctx, user, kit.UUID(r.TenantID))
	if err != nil {
		return nil, err
	}
	p, err := a.policy(ctx, tenant.ID, r.AtLeast)
	if err != nil {
		return nil, err
	}
	if a.Directory.Platform(user) {
		return &contract.PermissionsResponse{Permissions: []string{"*:**"}, Revision: p.Revision()}, nil
	}
	declared, err := a.declared(ctx)
	if err != nil {
		return nil, err
	}
	permissions := p.Permissions(user, decision.Question{
		Unit:         lowest(r.CompanyID, r.BranchID, r.DepartmentID),
		ResourceType: r.ResourceType, ResourceID: string(r.ResourceID),
	}, decision.Now, slices.Values(declared))
	return &contract.PermissionsResponse{Permissions: append([]string{}, permissions...), Revision: p.Revision()}, nil
}
