package parity

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// settingsSamples are of settings.
func settingsSamples() map[string]sample {
	return map[string]sample{
		"tenant.list_settings": {
			request: func(*testing.T, *fixture) request { return fields{}.request() },
			want: func(t *testing.T, f *fixture, got map[string]any) {
				items, _ := got["items"].([]any)
				first, _ := items[0].(map[string]any)
				require.Equal(t, contract.PlatformSettings, first["namespace"])
			},
		},
		"tenant.settings_schema": aboutSettings(nil, has("namespace", "platform")),
		"tenant.get_settings":    aboutSettings(nil, has("layer", "effective")),
		"tenant.update_settings": aboutSettings(fields{"values": fields{"currency": "CHF"}},
			func(t *testing.T, _ *fixture, got map[string]any) {
				require.Equal(t, []any{"CHF", "tenant"}, valueOf(got, "currency"))
			}),
		"tenant.settings_history": aboutSettings(nil, nil),
		"tenant.my_settings": oneself(fields{"namespace": "platform"},
			func(t *testing.T, _ *fixture, got map[string]any) {
				require.NotNil(t, valueOf(got, "language"))
			}),
		"tenant.update_my_settings": oneself(fields{"namespace": "platform", "values": fields{"language": "de-CH"}}, func(t *testing.T, _ *fixture, got map[string]any) {
			require.Equal(t, []any{"de-CH", "user"}, valueOf(got, "language"))
		}),
		"tenant.module_settings": aboutTenant(nil, func(t *testing.T, f *fixture, got map[string]any) {
			require.Equal(t, map[string]any{"greeting": "hello"}, got["values"])
		}),
	}
}

// valueOf is a setting's value and where it comes from.
func valueOf(got map[string]any, key string) []any {
	items, _ := got["items"].([]any)
	for _, item := range items {
		if one, _ := item.(map[string]any); one["key"] == key {
			return []any{one["value"], one["source"]}
		}
	}
	return nil
}

// aboutSettings samples what is done with the platform's settings; those of a
// module that the tenant has not are not there.
func aboutSettings(more fields, want func(*testing.T, *fixture, map[string]any)) sample {
	of := func(namespace string) request {
		r := fields{"namespace": namespace}
		for name, value := range more {
			r[name] = value
		}
		return r.request()
	}
	return sample{
		request: func(*testing.T, *fixture) request { return of(contract.PlatformSettings) },
		foreign: func(t *testing.T, f *fixture) request {
			module := "p" + fresh()
			f.theirs.Publish(t, module, "1.0.0", settingsOf("currency"))
			f.theirs.Install(t, module, "")
			return of(module)
		},
		absent: func(*testing.T, *fixture) request { return of("p" + strings.ReplaceAll(uuid.NewString(), "-", "")) },
		want:   want,
	}
}

// settingsOf are members of a manifest that declare settings of strings.
func settingsOf(keys ...string) map[string]any {
	properties := map[string]any{}
	for _, key := range keys {
		properties[key] = map[string]any{"type": "string"}
	}
	return map[string]any{"settings": map[string]any{"type": "object", "properties": properties}}
}

// oneself samples what somebody does about themself.
func oneself(r fields, want func(*testing.T, *fixture, map[string]any)) sample {
	return sample{request: func(_ *testing.T, f *fixture) request { return request{r.body(), f.tokens.nobody} }, want: want}
}
