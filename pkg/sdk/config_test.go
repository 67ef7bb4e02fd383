package sdk_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
)

var key = contract.NewAPIKey("dev", "financial-0123456789ab", strings.Repeat("s", 43)).Reveal()

func TestEnvironmentSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct{ api, nats, key, want string }{
		{"", "", key, "set CORE_API_URL (HTTP) or CORE_NATS_URL (bus)"},
		{"http://core", "", "", "set CORE_API_KEY"},
		{"http://core", "", key[:len(key)-1], "CORE_API_KEY: malformed API key"},
		{"http://core", "", "hunter2hunter2", "CORE_API_KEY: malformed API key"},
		{"core", "", key, "http://"},
		{"", "nats://", key, "the URL of the bus"},
	} {
		t.Setenv(sdk.EnvAPIURL, c.api)
		t.Setenv(sdk.EnvNATSURL, c.nats)
		t.Setenv(sdk.EnvAPIKey, c.key)
		_, err := sdk.NewFromEnv(t.Context())
		require.ErrorContains(t, err, c.want)
		assert.NotContains(t, err.Error(), "hunter2")
		assert.NotContains(t, err.Error(), "ssss")
	}
}

func TestEnvironmentMakesAClient(t *testing.T) {
	core := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v1/core/tenants/t/modules/financial", r.URL.Path)
		assert.Equal(t, key, r.Header.Get("X-API-Key"))
		contract.WriteProblem(w, contract.Missing("tenant"))
	}))
	defer core.Close()
	t.Setenv(sdk.EnvAPIURL, " "+core.URL+"/\n")
	t.Setenv(sdk.EnvNATSURL, "")
	t.Setenv(sdk.EnvAPIKey, key)
	c, err := sdk.NewFromEnv(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "financial", c.Module())
	enabled, err := c.ModuleEnabled(t.Context(), "t")
	require.NoError(t, err)
	assert.False(t, enabled)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	_, err = c.ModuleEnabled(t.Context(), "t")
	require.ErrorIs(t, err, sdk.ErrUnavailable)
}

func TestConfigDoesNotShowTheKey(t *testing.T) {
	t.Parallel()
	cfg := sdk.Config{APIURL: "https://someone:hunter2@core", APIKey: key}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "config", cfg)
	for _, shown := range []string{
		fmt.Sprint(cfg), fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg), fmt.Sprintf("%+v", &cfg), log.String(),
	} {
		assert.NotContains(t, shown, "ssss")
		assert.NotContains(t, shown, "hunter2")
		assert.Contains(t, shown, "financial-0123456789ab")
	}
	cfg = sdk.Config{NATSURL: "nats://a,nats://b", APIKey: "bfy_oops"}
	assert.Equal(t, "core at nats://a,nats://b, key malformed", cfg.String())
}
