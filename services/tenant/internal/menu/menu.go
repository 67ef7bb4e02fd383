// Package menu makes the menu of a person: the platform's items and those of
// the modules in their tenant, as the tenant overrides them, without what the
// person may not see.
package menu

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store"
)

// App serves the operations. A menu comes from memory, but for the permissions
// of the person. It is safe for concurrent use.
type App struct {
	Store       *store.Store
	Directory   *directory.Directory
	Permissions Permissions
	// Contributions are the modules' items; nil is none.
	Contributions Contributions
	// Settings are asked by conditions and for languages; nil knows none.
	Settings Settings

	overrides overridesCache
	compiled  memo[[]*item] // of a module's version
	shapes    memo[*shape]  // of a tenant
}

// Permissions tells what people may do.
type Permissions interface {
	// Held reports of each permission whether the person holds it in the tenant
	// that they act in. It answers unavailable when that cannot be found out.
	Held(ctx context.Context, user kit.User, permissions []string) ([]bool, error)
}

// Contributions are what modules add to menus.
type Contributions interface {
	// Menus returns the manifests of the modules that are in effect in a tenant,
	// in any order, from memory. A manifest never changes: one of the same id and
	// version says the same.
	Menus(ctx context.Context, tenant string) ([]*manifest.Manifest, error)
}

// Settings are what menus depend on of them. Both answer from memory.
type Settings interface {
	// Setting returns what a module's setting is in a tenant: a string as it is,
	// any other value as its JSON. A secret is not told.
	Setting(ctx context.Context, tenant, module, key string) (value string, ok bool)
	// Languages returns those that a person reads, as BCP 47 tags, the best first:
	// their own before the tenant's.
	Languages(ctx context.Context, tenant, user string) []string
}

// Changed takes in that a tenant changed its overrides.
func (a *App) Changed(change events.MenuChange) {
	a.overrides.changed(change.TenantID, change.Revision)
}

// shape returns the menu of a tenant as nobody in particular sees it.
func (a *App) shape(ctx context.Context, tenant string) (*shape, error) {
	var manifests []*manifest.Manifest
	var own overrides
	var err error
	if tenant != "" {
		if manifests, err = a.manifests(ctx, tenant); err != nil {
			return nil, err
		}
		if own, err = a.overrides.get(ctx, a.Store, tenant); err != nil {
			return nil, err
		}
	}
	of := version{revision: own.revision}
	for _, m := range manifests {
		of.modules = append(of.modules, m.ID+"@"+m.Version)
	}
	if known, ok := a.shapes.get(tenant); ok && known.of.equal(of) {
		return known, nil
	}
	made := newShape(of, a.items(manifests), own.items)
	a.shapes.put(tenant, made)
	return made, nil
}

func (a *App) manifests(ctx context.Context, tenant string) ([]*manifest.Manifest, error) {
	if a.Contributions == nil {
		return nil, nil
	}
	all, err := a.Contributions.Menus(ctx, tenant)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(m *manifest.Manifest) bool { return m.ID == platform })
	slices.SortFunc(all, func(a, b *manifest.Manifest) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// items are the platform's and those of the manifests.
func (a *App) items(manifests []*manifest.Manifest) []*item {
	all := slices.Clone(platformItems)
	for _, m := range manifests {
		key := m.ID + "@" + m.Version
		own, ok := a.compiled.get(key)
		if !ok {
			own = compile(m)
			a.compiled.put(key, own)
		}
		all = append(all, own...)
	}
	return all
}

// languages are those to try for a person's titles, the best first.
func (a *App) languages(ctx context.Context, user kit.User, requested string) []string {
	wanted := []string{requested}
	if a.Settings != nil {
		wanted = append(wanted, a.Settings.Languages(ctx, user.TenantID, user.ID)...)
	}
	var all []string
	for _, language := range wanted {
		if language = canonical(language); language != "" && !slices.Contains(all, language) {
			all = append(all, language)
		}
	}
	return all
}

// canonical writes a language tag as BCP 47 recommends: de-CH, zh-Hant-TW.
func canonical(tag string) string {
	parts := strings.Split(strings.ToLower(strings.TrimSpace(tag)), "-")
	for i, part := range parts[1:] {
		switch {
		case len(part) == 1: // from here on it says other things
			return strings.Join(parts, "-")
		case len(part) == 2:
			parts[i+1] = strings.ToUpper(part)
		case len(part) == 4 && (part[0] < '0' || part[0] > '9'):
			parts[i+1] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, "-")
}

// unavailable is told when there is no telling what the person may see.
func unavailable() error {
	return contract.Errorf(contract.Unavailable, "what you may see cannot be found out now; try again")
}
