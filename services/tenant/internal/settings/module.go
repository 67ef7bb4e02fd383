package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/sealed"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Module answers tenant.module_settings: the caller's own, secrets in clear.
func (a *App) Module(ctx context.Context, r *contract.ModuleSettingsRequest) (*contract.ModuleSettings, error) {
	p, tenant, user := kit.PrincipalFrom(ctx), kit.UUID(r.TenantID), kit.UUID(r.UserID)
	if !a.Directory.VisibleTenant(ctx, tenant) {
		return nil, contract.Missing("tenant")
	}
	if user == "" {
		user = nobody
	} else if _, err := a.Directory.VisibleUser(ctx, user, tenant); err != nil {
		return nil, err
	}
	s, err := a.set(ctx, tenant, p.Module)
	if errors.Is(err, &contract.Error{Code: contract.NotFound}) { // it declares none
		return &contract.ModuleSettings{Values: json.RawMessage("{}")}, nil
	}
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
	values, err := s.clear(all)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	return &contract.ModuleSettings{Values: raw, Revision: max(all[0].revision, all[1].revision, all[2].revision)}, nil
}

// clear is what holds, with secrets in clear.
func (s *set) clear(all layers) (map[string]json.RawMessage, error) {
	values := map[string]json.RawMessage{}
	for i := range s.schema.Properties {
		setting := &s.schema.Properties[i]
		v := s.value(all[:], setting)
		if setting.Secret && v.Source != "none" {
			at := slices.IndexFunc(all[:], func(l layer) bool { return l.name == v.Source })
			plain, ok := all[at].opened[setting.Key]
			if !ok {
				return nil, fmt.Errorf("secret setting %s of %s, layer %s: %w", setting.Key, s.namespace, v.Source, sealed.ErrSealed)
			}
			v.Value = plain
		}
		if v.Value != nil {
			values[setting.Key] = v.Value
		}
	}
	return values, nil
}
