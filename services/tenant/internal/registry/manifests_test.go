package registry

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Settings are those of the version that a tenant has installed, in words that
// people read.
func TestSchemasOfSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("crm", "1.0.0", map[string]any{
		"settings": map[string]any{"type": "object", "properties": map[string]any{"color": map[string]any{"type": "string", "title": "%color%"}}},
		"i18n":     map[string]any{"en": map[string]any{"color": "Colour"}, "de": map[string]any{"color": "Farbe"}},
	})
	w.publish("plain", "1.0.0", nil)
	tenant := string(w.tenant)
	_, _, err := w.Schema(bounded(t), tenant, "crm")
	requireRefused(t, contract.NotFound, "", err)
	require.Equal(t, "%color%", w.Say(bounded(t), tenant, "crm", "%color%", "de"), "it is not installed")
	for _, module := range []string{"crm", "plain"} {
		_, err := w.install(module, "")
		require.NoError(t, err)
	}
	_, err = w.Disable(bounded(t), w.change("crm"))
	require.NoError(t, err)
	schema, version, err := w.Schema(bounded(t), tenant, "crm")
	require.NoError(t, err)
	require.Equal(t, "1.0.0", version)
	require.Contains(t, string(schema), "%color%")
	for language, title := range map[string]string{"de-CH": "Farbe", "fr": "Colour"} {
		require.Equal(t, title, w.Say(bounded(t), tenant, "crm", "%color%", language))
	}
	require.Equal(t, "Colour of it", w.Say(bounded(t), tenant, "crm", "Colour of it", "de"))
	for _, other := range []string{tenant, kit.NewID()} {
		_, _, err = w.Schema(bounded(t), other, "plain")
		requireRefused(t, contract.NotFound, "", err)
	}
}
