package route

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/httpbridge/internal/keys"
	"github.com/buildify/core/services/httpbridge/internal/limit"
	"github.com/buildify/core/services/httpbridge/internal/origin"
)

// Whoever has no valid key is paced by where they come from; a proxy's word
// decides where that is.
func TestStrangersArePacedByTheirAddress(t *testing.T) {
	t.Parallel()
	telemetry, err := kit.NewTelemetry(t.Context(), kit.TelemetryConfig{Process: "test"})
	require.NoError(t, err)
	mux := http.NewServeMux()
	trusted := origin.Trusted{netip.MustParsePrefix("10.0.0.0/8")}
	(&Router{Keys: &keys.Keys{}, Telemetry: telemetry, Trusted: trusted}).Mount(mux)
	from := func(peer, forwarded string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/core/tenants/1", nil)
		r.RemoteAddr = peer
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	for left := limit.Anonymous.Requests - 1; left >= 0; left-- {
		w := from("10.0.0.1:99", "198.51.100.1")
		require.Equal(t, http.StatusUnauthorized, w.Code)
		if left == limit.Anonymous.Requests-1 {
			require.Equal(t, `"address";q=1200;w=60`, w.Header().Get("RateLimit-Policy"))
			require.Equal(t, `"address";r=1199;t=1`, w.Header().Get("RateLimit"))
		}
	}
	// A little of the quota has come back meanwhile.
	var w *httptest.ResponseRecorder
	for w = from("10.0.0.1:99", "198.51.100.1"); w.Code == http.StatusUnauthorized; {
		w = from("10.0.0.1:99", "198.51.100.1")
	}
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Contains(t, w.Body.String(), string(contract.RateLimited))
	seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, seconds)
	require.Equal(t, http.StatusUnauthorized, from("10.0.0.1:99", "198.51.100.2").Code, "another client of the proxy")
	require.Equal(t, http.StatusUnauthorized, from("203.0.113.1:99", "198.51.100.1").Code, "who only says so")
	require.Equal(t, http.StatusTooManyRequests, from("198.51.100.1:99", "").Code, "the same client directly")
}
