package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Permissions answers rbac.permissions from memory.
func (a *App) Permissions(ctx context.Context, r *contract.PermissionsRequest) (*contract.PermissionsResponse, bool, error) {
	user := kit.UUID(r.UserID)
	tenant, err := a.Directory.VisibleUser(kit.PrincipalFrom(ctx), user, kit.UUID(r.TenantID))
	if err != nil {
		return nil, true, err
	}
	policy := a.Engine.Policy(tenant.ID)
	permissions := policy.Permissions(user)
	if a.Directory.Platform(user) {
		permissions = []string{"*:**"}
	}
	return &contract.PermissionsResponse{Permissions: permissions, Revision: policy.Revision}, true, nil
}
