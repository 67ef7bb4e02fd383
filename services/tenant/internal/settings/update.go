package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Update answers tenant.update_settings.
func (a *App) Update(ctx context.Context, r *contract.UpdateSettingsRequest) (*contract.Settings, error) {
	caller := kit.UserFrom(ctx)
	if r.Layer == platform {
		if caller.ID != "" && !caller.Platform {
			return nil, &contract.Error{Code: contract.PermissionDenied, Field: "layer", Message: "only platform administrators set what holds for all tenants"}
		}
		tenant, err := a.actingIn(ctx, r.TenantID, r.Namespace)
		if err != nil {
			return nil, err
		}
		return a.update(ctx, change{
			tenant: tenant, owner: nobody, user: nobody, layer: platform, answer: platform, revision: r.Revision,
		}, r.Namespace, r.Values)
	}
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	return a.update(ctx, change{
		tenant: tenant, owner: tenant, user: nobody, layer: tenantwide, answer: effective, revision: r.Revision,
	}, r.Namespace, r.Values)
}

// UpdateMine answers tenant.update_my_settings.
func (a *App) UpdateMine(ctx context.Context, r *contract.UpdateMySettingsRequest) (*contract.Settings, error) {
	user, err := acting(ctx)
	if err != nil {
		return nil, err
	}
	return a.update(ctx, change{
		tenant: user.TenantID, owner: user.TenantID, user: user.ID, layer: personal, answer: effective, revision: r.Revision,
	}, r.Namespace, r.Values)
}

// change says which layer is changed, and from which revision.
type change struct {
	tenant      string // acted in
	owner, user string // of the layer
	layer       string
	answer      string // what is told afterwards
	revision    int64
}

func (a *App) update(ctx context.Context, c change, namespace string, values json.RawMessage) (*contract.Settings, error) {
	s, err := a.set(ctx, c.tenant, namespace)
	if err != nil {
		return nil, err
	}
	w, err := s.read(values, c.layer, "values")
	if err != nil {
		return nil, err
	}
	err = a.Store.Change(ctx, c.owner, func(q *db.Queries) ([]events.Event, error) {
		return a.write(ctx, q, s, c, w)
	})
	if err != nil {
		return nil, err
	}
	a.Changed(events.SettingsChange{TenantID: orNone(c.owner), Namespace: namespace}) // the event comes, too
	return a.get(ctx, c.tenant, c.user, namespace, c.answer)
}

// Write validates an object of a module's settings by a schema and stores it for
// the tenant, in the caller's transaction. Fields of errors begin with
// "settings".
func (a *App) Write(ctx context.Context, q *db.Queries, tenant, module string, schema, values json.RawMessage) ([]events.Event, error) {
	parsed, found := manifest.ParseSettings(schema)
	if found.HasErrors() {
		return nil, fmt.Errorf("settings of %s: %s", module, found[0].Message)
	}
	s := &set{namespace: module, schema: parsed}
	w, err := s.read(values, tenantwide, "settings")
	if err != nil {
		return nil, err
	}
	return a.write(ctx, q, s, change{tenant: tenant, owner: tenant, user: nobody, layer: tenantwide}, w)
}

// Erase removes all settings of a module in the tenant, in the caller's
// transaction.
func (a *App) Erase(ctx context.Context, q *db.Queries, tenant, module string) ([]events.Event, error) {
	if err := q.EraseSettings(ctx, db.EraseSettingsParams{TenantID: tenant, Namespace: module}); err != nil {
		return nil, err
	}
	if err := q.EraseSettingsHistory(ctx, db.EraseSettingsHistoryParams{TenantID: tenant, Namespace: module}); err != nil {
		return nil, err
	}
	e, err := kit.NewEvent(ctx, events.SettingsChanged, tenant, 0, events.SettingsChange{
		TenantID: tenant, Namespace: module, Layer: tenantwide, Erased: true,
	})
	return []events.Event{e}, err
}

// write puts checked values into a layer, with their history and event.
func (a *App) write(ctx context.Context, q *db.Queries, s *set, c change, w wanted) ([]events.Event, error) {
	row, err := q.LockSettings(ctx, db.LockSettingsParams{TenantID: c.owner, UserID: c.user, Namespace: s.namespace})
	if err != nil {
		return nil, err
	}
	if c.revision != 0 && c.revision != toldRevision(row.Revision) {
		return nil, &contract.Error{Code: contract.Conflict, Field: "revision", Message: "the settings were changed meanwhile; read them again"}
	}
	l, err := layerOf(row)
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, key := range slices.Sorted(maps.Keys(w.values)) {
		if s.schema.Find(key) == nil && l.plain[key] == nil && l.sealed[key] == nil { // nor is it stale
			return nil, s.check(key, w.values[key], w.field)
		}
		did, err := a.put(ctx, q, s, &l, key, w.values[key])
		if err != nil {
			return nil, err
		}
		if did {
			changed = append(changed, key)
		}
	}
	if len(changed) == 0 {
		return nil, nil
	}
	plain, err := json.Marshal(l.plain)
	if err != nil {
		return nil, err
	}
	secrets, err := json.Marshal(l.sealed)
	if err != nil {
		return nil, err
	}
	if size := len(plain) + len(secrets); size > maxLayer {
		return nil, contract.Invalid(w.field, "come to %d bytes with what is set already, more than %d in one layer", size, maxLayer)
	}
	row, err = q.PutSettings(ctx, db.PutSettingsParams{
		TenantID: c.owner, UserID: c.user, Namespace: s.namespace, Plain: plain, Sealed: secrets,
	})
	if err != nil {
		return nil, err
	}
	if a.Configured != nil && c.owner != nobody && c.user == nobody && s.namespace != contract.PlatformSettings {
		if err := a.Configured(ctx, q, c.owner, s.namespace); err != nil {
			return nil, err
		}
	}
	told := events.SettingsChange{
		TenantID: orNone(c.owner), UserID: orNone(c.user), Namespace: s.namespace, Layer: c.layer, Keys: changed, Revision: row.Revision,
	}
	e, err := kit.NewEvent(ctx, events.SettingsChanged, told.TenantID, row.Revision, told)
	return []events.Event{e}, err
}

// orNone is the id of a tenant or person, empty for nobody.
func orNone(id string) string {
	if id == nobody {
		return ""
	}
	return id
}

// put changes one key of a layer and reports whether that differs. A key is
// either plain or sealed, as the schema says that knew it last.
func (a *App) put(ctx context.Context, q *db.Queries, s *set, l *layer, key string, value json.RawMessage) (bool, error) {
	before, wasPlain := l.plain[key]
	_, wasSealed := l.sealed[key]
	secret := wasSealed
	if setting := s.schema.Find(key); setting != nil {
		secret = setting.Secret
	}
	history := db.AddSettingChangeParams{
		TenantID: l.owner, UserID: l.user, Namespace: s.namespace, Key: key, ByUser: kit.UserFrom(ctx).ID, Secret: secret,
	}
	if !secret {
		history.Before = before
	}
	switch {
	case isNull(value):
		if !wasPlain && !wasSealed {
			return false, nil
		}
		delete(l.plain, key)
		delete(l.sealed, key)
	case secret:
		delete(l.plain, key)
		l.sealed[key] = a.Box.Seal(bound(l.owner, l.user, s.namespace, key), value)
	default:
		if wasPlain && same(before, value) {
			return false, nil
		}
		delete(l.sealed, key)
		l.plain[key], history.After = value, value
	}
	return true, q.AddSettingChange(ctx, history)
}
