package settings

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// maxKnown bounds the memory, in sets of settings.
const maxKnown = 20_000

// memory keeps what was asked for, until it changes.
type memory struct {
	mu      sync.RWMutex
	changes uint64 // grows with each
	known   map[place]*contract.Settings
}

type place struct{ tenant, user, namespace, version string }

// Changed takes in that settings were changed, by this replica or another.
func (a *App) Changed(change events.SettingsChange) {
	m := &a.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	for at := range m.known {
		if at.namespace == change.Namespace && (change.TenantID == "" || at.tenant == change.TenantID) {
			delete(m.known, at)
		}
	}
}

// remembered is what holds, from memory where it is known.
func (a *App) remembered(ctx context.Context, tenant, user, namespace string) (*contract.Settings, error) {
	s, err := a.set(ctx, tenant, namespace)
	if err != nil {
		return nil, err
	}
	m, at := &a.memory, place{tenant, user, namespace, s.version}
	m.mu.RLock()
	known, mark := m.known[at], m.changes
	m.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	told, err := a.get(ctx, tenant, user, namespace, effective)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changes == mark {
		if m.known == nil || len(m.known) >= maxKnown {
			m.known = map[place]*contract.Settings{}
		}
		m.known[at] = told
	}
	return told, nil
}

// Setting returns what a module's setting is in a tenant, for conditions of
// menus: a string as it is, any other value as its JSON. A secret is not told.
func (a *App) Setting(ctx context.Context, tenant, module, key string) (value string, ok bool) {
	told, err := a.remembered(ctx, tenant, nobody, module)
	if err != nil {
		return "", false
	}
	for _, v := range told.Items {
		if v.Key == key && v.Value != nil {
			if json.Unmarshal(v.Value, &value) != nil {
				value = string(v.Value)
			}
			return value, true
		}
	}
	return "", false
}

// Languages returns those that a person reads, as BCP 47 tags, the best first:
// their own before the tenant's.
func (a *App) Languages(ctx context.Context, tenant, user string) (languages []string) {
	if tenant == "" {
		return nil
	}
	for _, who := range []string{user, nobody} {
		if who == "" { // a service asks
			continue
		}
		told, err := a.remembered(ctx, tenant, who, contract.PlatformSettings)
		if err != nil {
			continue
		}
		for _, v := range told.Items {
			var language string
			if v.Key == "language" && v.Source != "default" && json.Unmarshal(v.Value, &language) == nil {
				languages = append(languages, language)
			}
		}
	}
	return languages
}
