// Package settings holds the operations of settings: values in layers, the
// platform's under a tenant's under a person's, declared by the core and by
// modules.
package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/sealed"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// nobody is the user of layers that are no person's, and the tenant of the
// platform's.
const nobody = "00000000-0000-0000-0000-000000000000"

// The layers.
const (
	effective  = "effective"
	platform   = "platform"
	tenantwide = "tenant"
	personal   = "user"
)

// Schemas tells what settings a module has.
type Schemas interface {
	// Schema returns the JSON Schema of a module's settings in the version that a
	// tenant has, and that version; not_found where there is none.
	Schema(ctx context.Context, tenant, module string) (schema []byte, version string, err error)
	// Say returns a text of that schema as people read it, in the first of the
	// languages that there is; what is no message of the module stays as it is.
	Say(ctx context.Context, tenant, module, text string, languages ...string) string
}

// App serves the operations. It is safe for concurrent use.
type App struct {
	Store     *store.Store
	Directory *directory.Directory
	Schemas   Schemas
	// Box seals secrets.
	Box *sealed.Box
	// Configured, if set, hears in the transaction of the change that a tenant
	// changed the settings of a module.
	Configured func(ctx context.Context, q *db.Queries, tenant, module string) error

	parsed sync.Map // module@version → *manifest.Settings
	memory memory
}

// set is a set of settings as a tenant has it.
type set struct {
	namespace, version string
	schema             *manifest.Settings
}

// set finds the settings of a namespace; not_found where the tenant has none.
func (a *App) set(ctx context.Context, tenant, namespace string) (*set, error) {
	if namespace == contract.PlatformSettings {
		return &set{namespace: namespace, schema: core()}, nil
	}
	raw, version, err := a.Schemas.Schema(ctx, tenant, namespace)
	if err != nil {
		return nil, err
	}
	schema, err := a.schema(namespace+"@"+version, raw)
	return &set{namespace, version, schema}, err
}

// schema reads a schema, once.
func (a *App) schema(name string, raw []byte) (*manifest.Settings, error) {
	if known, ok := a.parsed.Load(name); ok {
		schema, _ := known.(*manifest.Settings)
		return schema, nil
	}
	schema, found := manifest.ParseSettings(raw)
	if found.HasErrors() {
		return nil, fmt.Errorf("settings of %s: %s", name, found[0].Message)
	}
	a.parsed.Store(name, schema)
	return schema, nil
}

// layer is what is set in one layer of a set.
type layer struct {
	name        string
	owner, user string
	plain       map[string]json.RawMessage
	sealed      map[string][]byte
	opened      map[string]json.RawMessage // of sealed, what could be opened
	revision    int64
}

func layerOf(row db.TenantSetting) (layer, error) {
	l := layer{name: tenantwide, owner: row.TenantID, user: row.UserID, revision: toldRevision(row.Revision)}
	switch {
	case row.TenantID == nobody:
		l.name = platform
	case row.UserID != nobody:
		l.name = personal
	}
	if err := json.Unmarshal(row.Plain, &l.plain); err != nil {
		return l, fmt.Errorf("settings of %s: %w", row.Namespace, err)
	}
	if err := json.Unmarshal(row.Sealed, &l.sealed); err != nil {
		return l, fmt.Errorf("settings of %s: %w", row.Namespace, err)
	}
	return l, nil
}

// toldRevision is a revision as it is told: 1 of what was never set, so that there is
// one to match. No layer of a tenant comes to it, for the tenant has one before.
func toldRevision(revision int64) int64 { return max(revision, 1) }

// open opens the secrets of a layer.
func (a *App) open(namespace string, l *layer) {
	l.opened = map[string]json.RawMessage{}
	for key, sealed := range l.sealed {
		if plain, err := a.Box.Unseal(bound(l.owner, l.user, namespace, key), sealed); err == nil {
			l.opened[key] = plain
		}
	}
}

// bound is the name that a secret is sealed for: it opens in no other place.
func bound(owner, user, namespace, key string) string {
	return strings.Join([]string{owner, user, namespace, key}, "/")
}

// layers are those of a set that hold for a user of the tenant, or with nobody
// for the tenant; the narrowest last.
type layers [3]layer

func (a *App) layers(ctx context.Context, q *db.Queries, s *set, tenant, user string) (all layers, err error) {
	place := map[string]int{platform: 0, tenantwide: 1, personal: 2}
	for name, at := range place {
		all[at].name, all[at].revision = name, toldRevision(0)
	}
	rows, err := q.SettingsLayers(ctx, db.SettingsLayersParams{Namespace: s.namespace, TenantID: tenant, UserID: user})
	for _, row := range rows {
		l, err := layerOf(row)
		if err != nil {
			return all, err
		}
		a.open(s.namespace, &l)
		all[place[l.name]] = l
	}
	return all, err
}

// holds reports whether a setting may be set in a layer: in those above its
// scope, and its own.
func holds(s *manifest.Setting, layer string) bool {
	switch s.Scope {
	case personal:
		return true
	case platform:
		return layer == platform
	}
	return layer != personal
}

// usable reports whether what is set of a key in a layer is still valid. What
// cannot be opened is set, nevertheless.
func (s *set) usable(l *layer, key string) bool {
	setting := s.schema.Find(key)
	if setting == nil || !holds(setting, l.name) {
		return false
	}
	value, ok := l.plain[key]
	if setting.Secret {
		if value, ok = l.opened[key]; !ok {
			return l.sealed[key] != nil
		}
	}
	return ok && !s.schema.ValidateValue(key, value).HasErrors()
}

// stale are the keys that are set in a layer and without effect.
func (s *set) stale(l *layer) (keys []string) {
	for key := range l.plain {
		if !s.usable(l, key) {
			keys = append(keys, key)
		}
	}
	for key := range l.sealed {
		if !s.usable(l, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// value is what holds of a setting: that of the narrowest layer.
func (s *set) value(all []layer, setting *manifest.Setting) contract.SettingValue {
	v := contract.SettingValue{Key: setting.Key, Source: "none", Secret: setting.Secret}
	if setting.Default != nil {
		v.Source, v.Value = "default", setting.Default
	}
	for i := range all {
		if s.usable(&all[i], setting.Key) {
			v.Source = all[i].name
			if !setting.Secret {
				v.Value = all[i].plain[setting.Key]
			}
		}
	}
	return v
}
