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

// Decisions are made in this process; GET /healthz tells whether they are.
func ExampleWithLocalDecisions() {
	ctx := context.Background()
	client, err := sdk.NewFromEnv(ctx, sdk.WithLogger(slog.Default()),
		sdk.WithLocalDecisions(sdk.LocalDecisions{MaxStaleness: 2 * time.Second}))
	if err != nil {
		slog.Error("no core", "error", err)
		return
	}
	defer client.Close()

	accounts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := sdk.UserFrom(r.Context())
		write, err := client.Decide(r.Context(), user.ID, "financial:accounts:write", sdk.InTenant(user.TenantID))
		if err != nil {
			sdk.WriteProblem(w, err)
			return
		}
		fmt.Fprintf(w, "accounts of %s; may change them: %t (decided locally: %t, at revision %d)\n",
			user.TenantCode, write.Allowed, write.Local, write.Revision)
	})
	http.Handle("GET /accounts", sdk.RequireUser(client)(sdk.RequirePermission("financial:accounts:read")(accounts)))
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		local := client.LocalState()
		fmt.Fprintf(w, "local decisions: %t, about %d tenants; last trouble: %v\n", local.Fresh, local.Tenants, local.Trouble)
	})
	server := &http.Server{Addr: "127.0.0.1:8090", ReadHeaderTimeout: 5 * time.Second}
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
