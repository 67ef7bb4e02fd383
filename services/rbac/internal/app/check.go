package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Check answers rbac.check from memory. Bindings hold for a whole tenant, so
// what is allowed there is allowed on each of its resources.
func (a *App) Check(ctx context.Context, r *contract.CheckRequest) (*contract.CheckResponse, bool, error) {
	user := kit.UUID(r.UserID)
	tenant, err := a.Directory.VisibleUser(kit.PrincipalFrom(ctx), user, kit.UUID(r.TenantID))
	if err != nil {
		return nil, true, err
	}
	policy := a.Engine.Policy(tenant.ID)
	allowed := policy.Allowed(user, r.Permission) || a.Directory.Platform(user)
	return &contract.CheckResponse{Allowed: allowed, Revision: policy.Revision}, true, nil
}
