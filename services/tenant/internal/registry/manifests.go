package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Menus returns the manifests of the modules that are in effect in a tenant. A
// manifest is read once.
func (r *Registry) Menus(ctx context.Context, tenant string) ([]*manifest.Manifest, error) {
	var all []*manifest.Manifest
	for _, a := range r.Directory.Activations(tenant) {
		if !a.Enabled || a.Version == "" {
			continue
		}
		m, err := r.inUse(ctx, a)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Schema returns the JSON Schema of a module's settings in the version that the
// tenant has installed, enabled or not, and that version. Where it has none, or
// the module has no settings, it is not_found.
func (r *Registry) Schema(ctx context.Context, tenant, module string) (schema []byte, version string, err error) {
	for _, a := range r.Directory.Activations(tenant) {
		if a.Module != module || a.Version == "" {
			continue
		}
		m, err := r.inUse(ctx, a)
		if err != nil {
			return nil, "", err
		}
		if schema := settingsSchema(m); schema != nil {
			return schema, a.Version, nil
		}
	}
	return nil, "", contract.Missing("settings of this name")
}

// Say returns a text of the manifest of a module that the tenant has installed,
// in the first of the languages that it has; without the manifest the text.
func (r *Registry) Say(ctx context.Context, tenant, module, text string, languages ...string) string {
	for _, a := range r.Directory.Activations(tenant) {
		if a.Module != module || a.Version == "" {
			continue
		}
		if m, err := r.inUse(ctx, a); err == nil {
			return m.Say(manifest.Plain(text), languages...)
		}
	}
	return text
}

// inUse is the manifest of an activation.
func (r *Registry) inUse(ctx context.Context, a contract.Activation) (m *manifest.Manifest, err error) {
	if known, ok := r.published.Load(a.Module + "@" + a.Version); ok {
		m, _ := known.(*manifest.Manifest)
		return m, nil
	}
	err = r.Store.Read(ctx, database.Everything, func(q *db.Queries) (err error) {
		m, err = r.manifestOf(ctx, q, a.Module, a.Version)
		return err
	})
	return m, err
}
