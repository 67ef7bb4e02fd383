package menu

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Get answers tenant.menu.
func (a *App) Get(ctx context.Context, r *contract.GetMenuRequest) (*contract.Menu, error) {
	user := kit.UserFrom(ctx)
	shape, err := a.shape(ctx, user.TenantID)
	if err != nil {
		return nil, err
	}
	v := a.viewer(ctx, user)
	parts := slices.Clone(shape.in(a.languages(ctx, user, r.Language)))
	for i := range parts {
		parts[i].nodes = v.candidates(parts[i].nodes)
	}
	held, err := a.held(ctx, user, parts)
	if err != nil {
		return nil, err
	}
	menu := &contract.Menu{}
	for _, part := range parts {
		menu.Sections = append(menu.Sections, contract.MenuSection{ID: part.id, Items: append([]contract.MenuItem{}, shown(part.nodes, held)...)})
	}
	menu.ETag, err = kit.ContentTag(menu)
	return menu, err
}

// held returns whether the person holds a permission that the parts ask for.
func (a *App) held(ctx context.Context, user kit.User, parts []section) (func(permission string) bool, error) {
	if user.Platform { // holds everything
		return func(string) bool { return true }, nil
	}
	asked := map[string]bool{"": true}
	var permissions []string
	var ask func([]node)
	ask = func(nodes []node) {
		for _, n := range nodes {
			if _, known := asked[n.permission]; !known {
				asked[n.permission] = false
				permissions = append(permissions, n.permission)
			}
			ask(n.children)
		}
	}
	for _, part := range parts {
		ask(part.nodes)
	}
	if len(permissions) == 0 {
		return func(permission string) bool { return asked[permission] }, nil
	}
	answers, err := a.Permissions.Held(ctx, user, permissions)
	if err != nil {
		return nil, err
	}
	for i, permission := range permissions {
		asked[permission] = answers[i]
	}
	return func(permission string) bool { return asked[permission] }, nil
}

// shown renders what the person may see. Who may not see an item sees nothing
// below it; an item that neither leads anywhere nor groups anything is left out.
func shown(nodes []node, held func(permission string) bool) (items []contract.MenuItem) {
	for _, n := range nodes {
		if !held(n.permission) {
			continue
		}
		children := shown(n.children, held)
		if n.route == "" && len(children) == 0 {
			continue
		}
		items = append(items, contract.MenuItem{
			ID: n.id, Title: n.title, Icon: n.icon, Route: n.route, Order: n.order, Module: n.module, Version: n.version, Children: children,
		})
	}
	return items
}
