package httptransport

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// A peer that is gone without a word would leave a stream open for ever.
func TestAStreamThatFallsSilentIsLost(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", eventStream)
		for range 10 {
			_, _ = w.Write([]byte(":\n\n"))
			_ = http.NewResponseController(w).Flush()
			<-time.After(50 * time.Millisecond) // a core that says only that it is there
		}
		_, _ = w.Write([]byte("data: 1\n\n"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	key := contract.NewAPIKey("dev", "financial-aaaaaaaaaaaaaaaa", "0000000000000000000000000000000000000000000000000000000000000000")
	transport, err := New(Config{URL: server.URL, APIKey: key.Reveal()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = transport.Close() })
	transport.silence = 400 * time.Millisecond
	heard := 0
	err = transport.Follow(t.Context(), contract.PolicyFeed.Spec, nil, func() {}, func([]byte) { heard++ })
	require.ErrorIs(t, err, errSilent)
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unavailable})
	require.Equal(t, 1, heard, "what came before")
}
