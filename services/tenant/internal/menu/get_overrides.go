package menu

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
)

// GetOverrides answers tenant.get_menu_overrides.
func (a *App) GetOverrides(ctx context.Context, r *contract.MenuOverridesRequest) (*contract.MenuOverrides, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	items, err := a.declared(ctx, tenant)
	if err != nil {
		return nil, err
	}
	own, err := load(ctx, a.Store, tenant)
	if err != nil {
		return nil, err
	}
	return own.answer(tenant, items), nil
}

// declared are the parents of the items that there are in a tenant, by item.
func (a *App) declared(ctx context.Context, tenant string) (map[string]string, error) {
	manifests, err := a.manifests(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return declaredParents(a.items(manifests)), nil
}

func (o overrides) answer(tenant string, declared map[string]string) *contract.MenuOverrides {
	answer := &contract.MenuOverrides{
		TenantID: tenant, Items: append([]contract.MenuOverride{}, o.items...), Unknown: []string{}, UpdatedAt: o.at, Revision: o.revision,
	}
	for _, item := range o.items {
		for _, id := range []string{item.ItemID, item.ParentID} {
			if id != "" && !there(declared, id) {
				answer.Unknown = append(answer.Unknown, id)
			}
		}
	}
	slices.Sort(answer.Unknown)
	answer.Unknown = slices.Compact(answer.Unknown)
	return answer
}
