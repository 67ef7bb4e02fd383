package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Get answers tenant.get from memory.
func (a *App) Get(ctx context.Context, r *contract.GetTenantRequest) (*contract.Tenant, bool, error) {
	id := kit.UUID(r.TenantID)
	tenant, ok := a.Directory.Tenant(id)
	if !ok || !a.Directory.VisibleTenant(ctx, id) {
		return nil, true, contract.Missing("tenant")
	}
	return &tenant, true, nil
}
