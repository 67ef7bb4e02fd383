package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/buildify/core/pkg/sdk"
)

// A whole module: it reads CORE_API_KEY and CORE_API_URL or CORE_NATS_URL.
func Example() {
	client, err := sdk.NewFromEnv(context.Background())
	if err != nil {
		slog.Error("no core", "error", err)
		return
	}
	defer client.Close()

	whoAmI := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := sdk.UserFrom(r.Context())
		_ = json.NewEncoder(w).Encode(user)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /me", sdk.RequireUser(client)(sdk.RequirePermission("demo:me:read")(whoAmI)))

	server := &http.Server{Addr: "127.0.0.1:8090", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	slog.Error("stopped", "error", server.ListenAndServe())
}

func ExampleClient_LogAudit() {
	var client *sdk.Client // from sdk.New

	err := client.LogAudit(context.Background(), sdk.AuditEvent{
		UserID:       "0190a8a0-0000-7000-8000-000000000001",
		Action:       "invoice.created",
		ResourceType: "invoice",
		ResourceID:   "0190a8a0-0000-7000-8000-000000000002",
		Details:      map[string]any{"total": 11900, "currency": "EUR"},
	})
	if errors.Is(err, sdk.ErrUnavailable) {
		slog.Warn("try again later")
	}
}

func ExampleErrorf() {
	err := fmt.Errorf("load: %w", sdk.Errorf(sdk.ErrNotFound, "no invoice %s", "42"))
	fmt.Println(err)
	fmt.Println(errors.Is(err, sdk.ErrNotFound))
	// Output:
	// load: not_found: no invoice 42
	// true
}
