package settings

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// GetSchema answers tenant.settings_schema.
func (a *App) GetSchema(ctx context.Context, r *contract.SettingsRequest) (*contract.SettingsSchema, error) {
	tenant, err := a.actingIn(ctx, r.TenantID, r.Namespace)
	if err != nil {
		return nil, err
	}
	s, err := a.set(ctx, tenant, r.Namespace)
	if err != nil {
		return nil, err
	}
	schema, err := a.legible(ctx, tenant, s, a.Languages(ctx, tenant, kit.UserFrom(ctx).ID))
	return &contract.SettingsSchema{Namespace: s.namespace, Version: s.version, Schema: schema}, err
}

// title is what a set is called.
func (a *App) title(ctx context.Context, tenant string, s *set, languages []string) string {
	var schema struct {
		Title string `json:"title"`
	}
	_ = json.Unmarshal(s.schema.Raw, &schema) // it was read before
	return cmp.Or(a.say(ctx, tenant, s, schema.Title, languages), s.namespace)
}

func (a *App) say(ctx context.Context, tenant string, s *set, text string, languages []string) string {
	if text == "" || s.namespace == contract.PlatformSettings {
		return text
	}
	return a.Schemas.Say(ctx, tenant, s.namespace, text, languages...)
}

// legible is the schema with its titles and descriptions as people read them,
// the settings in the order they are declared in.
func (a *App) legible(ctx context.Context, tenant string, s *set, languages []string) (json.RawMessage, error) {
	said := func(schema json.RawMessage, replaced map[string]json.RawMessage) (json.RawMessage, error) {
		members := map[string]json.RawMessage{}
		if err := json.Unmarshal(schema, &members); err != nil {
			return nil, err
		}
		for _, name := range []string{"title", "description"} {
			var text string
			if json.Unmarshal(members[name], &text) != nil {
				continue // there is none
			}
			raw, err := json.Marshal(a.say(ctx, tenant, s, text, languages))
			if err != nil {
				return nil, err
			}
			members[name] = raw
		}
		for name, raw := range replaced {
			members[name] = raw
		}
		return json.Marshal(members)
	}
	var properties bytes.Buffer
	for i := range s.schema.Properties {
		p := &s.schema.Properties[i]
		schema, err := said(p.Schema, nil)
		if err != nil {
			return nil, err
		}
		key, err := json.Marshal(p.Key)
		if err != nil {
			return nil, err
		}
		properties.WriteByte("{,"[min(i, 1)])
		properties.Write(key)
		properties.WriteByte(':')
		properties.Write(schema)
	}
	if properties.Len() == 0 {
		properties.WriteByte('{')
	}
	properties.WriteByte('}')
	return said(s.schema.Raw, map[string]json.RawMessage{"properties": properties.Bytes()})
}
