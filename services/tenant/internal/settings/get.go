package settings

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Get answers tenant.get_settings.
func (a *App) Get(ctx context.Context, r *contract.GetSettingsRequest) (*contract.Settings, error) {
	tenant, err := a.actingIn(ctx, r.TenantID, r.Namespace)
	if err != nil {
		return nil, err
	}
	of := r.Layer
	if of == "" {
		of = effective
	}
	return a.get(ctx, tenant, nobody, r.Namespace, of)
}

// GetMine answers tenant.my_settings.
func (a *App) GetMine(ctx context.Context, r *contract.MySettingsRequest) (*contract.Settings, error) {
	user, err := acting(ctx)
	if err != nil {
		return nil, err
	}
	return a.get(ctx, user.TenantID, user.ID, r.Namespace, effective)
}

// acting is the caller, who acts in a tenant.
func acting(ctx context.Context) (kit.User, error) {
	user := kit.UserFrom(ctx)
	if user.TenantID == "" {
		return user, contract.Errorf(contract.Conflict, "you act in no tenant; auth.switch_tenant takes you into one")
	}
	return user, nil
}

// actingIn is the tenant acted in. Who acts in none acts in nobody's on the core's
// own settings: there the layer of the platform is all there is.
func (a *App) actingIn(ctx context.Context, requested contract.ID, namespace string) (string, error) {
	caller := kit.UserFrom(ctx)
	if namespace == contract.PlatformSettings && requested == "" && caller.TenantID == "" && (caller.ID == "" || caller.Platform) {
		return nobody, nil
	}
	return a.Directory.ActingTenant(ctx, requested)
}

// get returns what is set in a layer, or what all that hold come to.
func (a *App) get(ctx context.Context, tenant, user, namespace, of string) (*contract.Settings, error) {
	s, err := a.set(ctx, tenant, namespace)
	if err != nil {
		return nil, err
	}
	var all layers
	err = a.Store.Read(ctx, tenant, func(q *db.Queries) (err error) {
		all, err = a.layers(ctx, q, s, tenant, user)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.describe(all, of, user != nobody), nil
}

// describe is a set as it is told; mine asks for a person's view: of a module's
// settings those that people set, and what is stale of their own.
func (s *set) describe(all layers, of string, mine bool) *contract.Settings {
	told := &contract.Settings{Namespace: s.namespace, Layer: of, Items: []contract.SettingValue{}, Stale: []string{}}
	which, own := all[:], 1
	switch of {
	case platform:
		which, own = all[:1], 0
	case tenantwide:
		which = all[1:2]
	}
	if mine {
		own = 2
	}
	told.Revision = all[own].revision
	for i := range s.schema.Properties {
		setting := &s.schema.Properties[i]
		if mine && setting.Scope != personal && s.namespace != contract.PlatformSettings {
			continue
		}
		v := s.value(which, setting)
		if of != effective && v.Source == "default" { // nothing is set here
			v.Source, v.Value = "none", nil
		}
		told.Items = append(told.Items, v)
	}
	if mine {
		which = all[own:]
	}
	for i := range which {
		told.Stale = append(told.Stale, s.stale(&which[i])...)
	}
	slices.Sort(told.Stale)
	told.Stale = slices.Compact(told.Stale)
	return told
}
