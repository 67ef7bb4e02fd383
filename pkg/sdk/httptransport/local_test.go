package httptransport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/internal/coretest"
	"github.com/buildify/core/pkg/sdk/internal/localtest"
)

// serveCore answers for a core, and streams what it tells.
func serveCore(t *testing.T, core *coretest.Core) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+contract.PolicySnapshot.Path, func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		atLeast, _ := strconv.ParseInt(query.Get("at_least"), 10, 64)
		snapshot, err := core.Snapshot(r.Context(), &contract.PolicySnapshotRequest{
			TenantID: contract.ID(query.Get("tenant_id")), Cursor: query.Get("cursor"), AtLeast: atLeast,
		})
		var e *contract.Error
		if errors.As(err, &e) {
			contract.WriteProblem(w, e)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(snapshot)
	})
	mux.HandleFunc("GET "+contract.PolicyFeed.Path, func(w http.ResponseWriter, r *http.Request) {
		messages := make(chan []byte, 10_000)
		defer core.Listen(func(_ string, message []byte) { messages <- message })()
		stream(": open\n\n")(w, r)
		for {
			select {
			case <-r.Context().Done():
				return
			case message := <-messages:
				stream("data: "+string(message)+"\n\n")(w, r)
			}
		}
	})
	mux.HandleFunc("/", answer(200, "application/json", fmt.Sprintf(`{"allowed":true,"revision":%d}`, localtest.RemoteRevision)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestLocalDecisionsOverHTTP(t *testing.T) {
	t.Parallel()
	core := localtest.NewCore(t)
	server := serveCore(t, core)
	client, err := sdk.New(t.Context(), sdk.Config{APIURL: server.URL, APIKey: key}, sdk.WithLocalDecisions(sdk.LocalDecisions{}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	localtest.Play(t, core, client, server.CloseClientConnections, func() bool { return core.Listeners() == 0 })
}
