package app

import (
	"cmp"
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Modules answers tenant.modules from memory.
func (a *App) Modules(ctx context.Context, r *contract.GetTenantRequest) (*contract.EnabledModules, bool, error) {
	id := kit.UUID(r.TenantID)
	if !a.Directory.VisibleTenant(ctx, id) {
		return nil, true, contract.Missing("tenant")
	}
	enabled := &contract.EnabledModules{Items: []contract.EnabledModule{}}
	for _, m := range a.Directory.Activations(id) {
		if m.Enabled {
			enabled.Items = append(enabled.Items, contract.EnabledModule{Module: m.Module, Version: m.Version})
		}
	}
	slices.SortFunc(enabled.Items, func(a, b contract.EnabledModule) int { return cmp.Compare(a.Module, b.Module) })
	return enabled, true, nil
}
