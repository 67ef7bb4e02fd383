// Package web is the financial module's HTTP interface.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/buildify/core/modules/financial/internal/ledger"
	"github.com/buildify/core/pkg/sdk"
)

// maxBody is the largest request body in bytes.
const maxBody = 1 << 20

type handlers struct {
	core  *sdk.Client
	books *ledger.Ledger
	log   *slog.Logger
}

// endpoint answers a verified user with a status and a body, or an error.
type endpoint func(w http.ResponseWriter, r *http.Request, user sdk.User) (status int, body any, err error)

// New returns the module's routes. Each but /healthz wants a user of the core
// who holds the route's permission.
func New(core *sdk.Client, books *ledger.Ledger, log *slog.Logger) http.Handler {
	h := &handlers{core, books, log}
	mux := http.NewServeMux()
	methods := map[string][]string{}
	user := sdk.RequireUser(core)
	for _, route := range []struct {
		method, path, permission string
		answer                   endpoint
	}{
		{"GET", "/accounts", "financial:accounts:read", h.listAccounts},
		{"POST", "/accounts", "financial:accounts:write", h.createAccount},
		{"GET", "/invoices", "financial:invoices:read", h.listInvoices},
		{"POST", "/invoices", "financial:invoices:write", h.createInvoice},
		{"GET", "/invoices/{id}", "financial:invoices:read", h.getInvoice},
	} {
		may := sdk.RequirePermission(route.permission)
		mux.Handle(route.method+" "+route.path, user(may(h.serve(route.answer))))
		methods[route.path] = append(methods[route.path], route.method)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	methods["/healthz"] = []string{"GET"}
	// ServeMux's own answers to these are plain text.
	for path, allowed := range methods {
		allow := strings.Join(slices.Sorted(slices.Values(allowed)), ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", allow)
			sdk.WriteProblem(w, sdk.Errorf(sdk.ErrMethodNotAllowed, "use %s", allow))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		sdk.WriteProblem(w, sdk.Errorf(sdk.ErrNotFound, "no such route"))
	})
	return mux
}

func (h *handlers) serve(answer endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok := sdk.UserFrom(r.Context())
		if !ok { // routed without RequireUser: a mistake that must not open
			sdk.WriteProblem(w, sdk.ErrUnauthenticated)
			return
		}
		status, body, err := answer(w, r, user)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		reply(w, status, body)
	})
}

// fail is the one place where errors of the books become answers.
func (h *handlers) fail(w http.ResponseWriter, r *http.Request, err error) {
	var field *ledger.FieldError
	var known *sdk.Error
	switch {
	case errors.As(err, &known):
		sdk.WriteProblem(w, known)
	case errors.As(err, &field):
		sdk.WriteProblem(w, sdk.Invalid(field.Field, "%s", field.Reason))
	case errors.Is(err, ledger.ErrNotFound):
		sdk.WriteProblem(w, sdk.Errorf(sdk.ErrNotFound, "no such record"))
	default:
		h.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		sdk.WriteProblem(w, err)
	}
}

// commit records who created what in the audit trail and then makes it durable
// and visible: the books never hold what the trail does not. When the event
// cannot be recorded the record is dropped, and the user may try again.
func (h *handlers) commit(ctx context.Context, pending *ledger.Pending, event sdk.AuditEvent) error {
	defer pending.Rollback()
	resource := event.ResourceType
	event.Action = resource + ".created"
	if err := h.core.LogAudit(ctx, event); err != nil {
		h.log.ErrorContext(ctx, "audit event not recorded; nothing was written", "action", event.Action, "error", err)
		return sdk.Errorf(sdk.ErrUnavailable, "the %s was not created: the audit trail takes no events right now; try again", resource)
	}
	err := pending.Commit()
	if err == nil {
		return nil
	}
	h.log.ErrorContext(ctx, "record not written", "resource", resource, "id", event.ResourceID, "error", err)
	// The trail now tells what did not happen; say so there, as well as we can.
	later, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	event.Action = resource + ".create_failed"
	if err := h.core.LogAudit(later, event); err != nil {
		h.log.ErrorContext(ctx, "audit event not taken back", "resource", resource, "id", event.ResourceID, "error", err)
	}
	return sdk.Errorf(sdk.ErrUnavailable, "the %s was not created: it could not be stored", resource)
}

func reply(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody is left to tell
}
