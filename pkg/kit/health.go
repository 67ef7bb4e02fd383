package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health answers liveness and readiness over HTTP.
type Health struct {
	nats     *nats.Conn
	services []string
	checks   map[string]func(context.Context) error

	mu      sync.Mutex
	started bool
	checked time.Time
	missing []string
}

// NewHealth returns a Health that is ready while the connection is up and the
// named services answer on the bus.
func NewHealth(nc *nats.Conn, services ...string) *Health {
	return &Health{nats: nc, services: services, checks: map[string]func(context.Context) error{}}
}

// Require adds a part that must be there, such as a database. It is to be
// called before the first answer.
func (h *Health) Require(part string, check func(context.Context) error) { h.checks[part] = check }

// Started says that the process has started; until then it is not ready.
func (h *Health) Started() { h.set(true) }

// Drain says that the process is about to stop: it is not ready any more.
func (h *Health) Drain() { h.set(false) }

func (h *Health) set(started bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.started = started
}

// Live answers 200 as long as the process serves at all.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) {
	writeHealth(w, http.StatusOK, map[string]any{"status": "ok"})
}

// Ready answers 200, or 503 with the parts that are missing. The parts are
// asked at most once a second.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	if missing := h.Missing(r.Context()); len(missing) > 0 {
		w.Header().Set("Retry-After", "1")
		writeHealth(w, http.StatusServiceUnavailable, map[string]any{"status": "unavailable", "missing": missing})
		return
	}
	writeHealth(w, http.StatusOK, map[string]any{"status": "ok"})
}

// Missing returns the parts that do not answer, none when ready.
func (h *Health) Missing(ctx context.Context) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.started {
		return []string{"this process"}
	}
	if time.Since(h.checked) < time.Second {
		return h.missing
	}
	// Not under the first asker's context: the answer is kept for the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	h.missing = nil
	if !h.nats.IsConnected() {
		h.missing = append(h.missing, "nats")
	} else {
		for _, service := range h.services {
			if !h.answers(ctx, service) {
				h.missing = append(h.missing, service)
			}
		}
	}
	for part, check := range h.checks {
		if check(ctx) != nil {
			h.missing = append(h.missing, part)
		}
	}
	h.checked = time.Now()
	return h.missing
}

func (h *Health) answers(ctx context.Context, service string) bool {
	subject, err := micro.ControlSubject(micro.PingVerb, service, "")
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = h.nats.RequestWithContext(ctx, subject, nil)
	return err == nil
}

func writeHealth(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody is left to tell
}

// OpsServer serves /metrics, /healthz and /readyz to operators, apart from
// whatever the process serves to others.
type OpsServer struct {
	server   *http.Server
	listener net.Listener
}

// StartOps listens on address (host:port; port 0 picks a free one).
func StartOps(ctx context.Context, address string, telemetry *Telemetry, health *Health) (*OpsServer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("ops: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(telemetry.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", health.Live)
	mux.HandleFunc("GET /readyz", health.Ready)
	s := &OpsServer{listener: listener, server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}}
	go func() { _ = s.server.Serve(listener) }() // ends with Stop
	return s, nil
}

// URL is where the server listens.
func (s *OpsServer) URL() string { return "http://" + s.listener.Addr().String() }

// Stop closes the server.
func (s *OpsServer) Stop(ctx context.Context) error { return ShutdownHTTP(ctx, s.server) }

// ShutdownHTTP lets requests in work finish, for half of the time that ctx has
// left, five seconds at most, and then cuts off who is still sending: one slow
// client must not use up what the rest of a stop needs.
func ShutdownHTTP(ctx context.Context, server *http.Server) error {
	patience := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	} else if err != nil {
		return err
	}
	return nil
}
