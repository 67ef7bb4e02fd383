// Package registry holds the operations of modules: their versions on the way
// from a draft to what tenants run, and their activation in tenants.
package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Registry serves the operations. It is safe for concurrent use.
type Registry struct {
	Store     *store.Store
	Directory *directory.Directory
	// Client calls other services.
	Client *kit.Client
	Log    *slog.Logger
	// Core is the version of the core that modules must be compatible with;
	// empty, while developing, is compatible with all.
	Core string
	// Settings keeps the modules' settings.
	Settings Settings
	// HasKeys reports whether there are API keys of a module; nil is no module.
	HasKeys func(ctx context.Context, module string) (bool, error)
	// Changed is told that something was published, installed or told to a
	// module: the Keeper has work.
	Changed func()

	published sync.Map // of versions that cannot change any more: module@version → *manifest.Manifest
}

// Settings keeps the settings of modules in tenants. Its methods are part of a
// caller's transaction.
type Settings interface {
	// Write validates an object of settings by a schema and stores it for the
	// tenant. Errors are contract errors whose field begins with "settings".
	Write(ctx context.Context, q *db.Queries, tenant, module string, schema, values json.RawMessage) ([]events.Event, error)
	// Erase removes all settings of a module in the tenant.
	Erase(ctx context.Context, q *db.Queries, tenant, module string) ([]events.Event, error)
}

// manifestOf returns the manifest of a version that was published.
func (r *Registry) manifestOf(ctx context.Context, q *db.Queries, module, version string) (*manifest.Manifest, error) {
	if known, ok := r.published.Load(module + "@" + version); ok {
		m, _ := known.(*manifest.Manifest)
		return m, nil
	}
	raw, err := q.VersionSource(ctx, db.VersionSourceParams{Module: module, Version: version})
	if err != nil {
		return nil, fmt.Errorf("manifest of %s %s: %w", module, version, err)
	}
	return r.remember(module, version, raw)
}

// remember reads the manifest of a version that was published, and so cannot
// change any more, once.
func (r *Registry) remember(module, version string, raw []byte) (*manifest.Manifest, error) {
	if known, ok := r.published.Load(module + "@" + version); ok {
		m, _ := known.(*manifest.Manifest)
		return m, nil
	}
	m := new(manifest.Manifest)
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("manifest of %s %s: %w", module, version, err)
	}
	r.published.Store(module+"@"+version, m)
	return m, nil
}

// asked are a manifest's scopes, as a person is asked for them.
func asked(m *manifest.Manifest, wanted func(scope string) bool) []contract.Asked {
	all := []contract.Asked{}
	for _, s := range m.Scopes {
		if wanted(s.Name) {
			all = append(all, contract.Asked{Scope: s.Name, Reason: m.Say(s.Reason), Optional: s.Optional})
		}
	}
	return all
}

// settingsSchema is the JSON Schema of a module's settings; nil if it has none.
func settingsSchema(m *manifest.Manifest) json.RawMessage {
	if m.Settings == nil {
		return nil
	}
	return m.Settings.Raw
}
