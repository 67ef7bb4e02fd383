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
	tenant, err := a.Directory.VisibleUser(kit.PrincipalFrom(ctx), user)
	if err != nil {
		return nil, true, err
	}
	policy := a.Engine.Policy(tenant.ID)
	return &contract.CheckResponse{Allowed: policy.Allowed(user, r.Permission), Revision: policy.Revision}, true, nil
}
