package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
)

// GroupedCatalogue answers rbac.grouped_permissions.
func (a *App) GroupedCatalogue(ctx context.Context, r *contract.GroupedCatalogueRequest) (*contract.GroupedCatalogueResponse, error) {
	tenant, err := a.roleTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	all, err := a.catalogueOf(ctx, tenant)
	if err != nil {
		return nil, err
	}
	response := &contract.GroupedCatalogueResponse{Modules: []contract.CatalogueModule{}}
	var module *contract.CatalogueModule
	var category *contract.CatalogueCategory
	for _, p := range all {
		if module == nil || module.Module != p.Module {
			response.Modules = append(response.Modules, contract.CatalogueModule{
				Module: p.Module, Effective: p.Effective || p.Module == platformModule,
			})
			module, category = &response.Modules[len(response.Modules)-1], nil
		}
		if category == nil || category.Category != p.Category {
			module.Categories = append(module.Categories, contract.CatalogueCategory{Category: p.Category})
			category = &module.Categories[len(module.Categories)-1]
		}
		category.Permissions = append(category.Permissions, p)
	}
	return response, nil
}
