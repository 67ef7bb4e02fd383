package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Permissions answers rbac.permissions from memory.
func (a *App) Permissions(ctx context.Context, r *contract.PermissionsRequest) (*contract.PermissionsResponse, bool, error) {
	user := kit.UUID(r.UserID)
	tenant, err := a.Directory.VisibleUser(kit.PrincipalFrom(ctx), user)
	if err != nil {
		return nil, true, err
	}
	policy := a.Engine.Policy(tenant.ID)
	return &contract.PermissionsResponse{Permissions: policy.Permissions(user), Revision: policy.Revision}, true, nil
}
