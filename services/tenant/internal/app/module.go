package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Module answers tenant.module from memory. A module learns about itself only,
// and by a restricted key about its tenants only.
func (a *App) Module(ctx context.Context, r *contract.TenantModuleRequest) (*contract.TenantModuleResponse, bool, error) {
	p := kit.PrincipalFrom(ctx)
	foreign := p.Kind == kit.KindModule && (p.Module != r.ModuleName || !p.May(kit.UUID(r.TenantID)))
	if foreign || !a.Directory.Enabled(kit.UUID(r.TenantID), r.ModuleName) {
		return nil, true, contract.Missing("module of this tenant")
	}
	return &contract.TenantModuleResponse{Enabled: true}, true, nil
}
