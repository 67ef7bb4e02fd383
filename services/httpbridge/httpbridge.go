// Package httpbridge is the service that the outside reaches: it translates
// the REST Core API onto the bus and serves the pages.
package httpbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/httpbridge/internal/bundle"
	"github.com/buildify/core/services/httpbridge/internal/feed"
	"github.com/buildify/core/services/httpbridge/internal/granted"
	"github.com/buildify/core/services/httpbridge/internal/keys"
	"github.com/buildify/core/services/httpbridge/internal/openapi"
	"github.com/buildify/core/services/httpbridge/internal/origin"
	"github.com/buildify/core/services/httpbridge/internal/route"
	"github.com/buildify/core/services/httpbridge/internal/tail"
	"github.com/buildify/core/web"
)

// Name of the service.
const Name = "httpbridge"

// Config is what the bridge needs beside what every service does.
type Config struct {
	// Address to listen on, host:port; port 0 picks a free one.
	Address string
	// Listener is used instead of Address when it is set; Stop closes it.
	Listener net.Listener
	// TrustedProxies are the networks, such as 10.0.0.0/8, of the proxies that
	// tell in X-Forwarded-For or Forwarded where a request came from. Without
	// them a request comes from whoever connects.
	TrustedProxies []string
	// Pages are further handlers, by pattern, such as development's outbox.
	Pages map[string]http.Handler
}

// Service serves HTTP.
type Service struct {
	deps     kit.Deps
	cfg      Config
	keys     *keys.Keys
	feed     *feed.Hub
	granted  *granted.Hub
	tails    *tail.Hub
	health   *kit.Health
	listener net.Listener
	server   *http.Server
	failed   chan error
}

// New returns the bridge, not started. It needs no database.
func New(deps kit.Deps, cfg Config) *Service {
	return &Service{deps: deps, cfg: cfg, listener: cfg.Listener, failed: make(chan error, 1)}
}

// Start implements kit.Service.
func (s *Service) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
		}
	}()
	trusted, err := origin.ParseTrusted(s.cfg.TrustedProxies)
	if err != nil {
		return fmt.Errorf("trusted proxies: %w", err)
	}
	js, err := s.deps.JetStream()
	if err != nil {
		return err
	}
	client := kit.NewClient(s.deps.NATS, s.deps.Telemetry)
	if s.keys, err = keys.Start(ctx, client, js, s.deps.Telemetry.Log); err != nil {
		return err
	}
	s.feed = feed.NewHub(s.deps.NATS)
	s.granted = granted.NewHub(js, s.deps.Telemetry.Log)
	if s.tails, err = tail.NewHub(s.deps.NATS); err != nil {
		return fmt.Errorf("tails: %w", err)
	}
	handler, err := s.handler(client, trusted)
	if err != nil {
		return err
	}
	if s.listener == nil {
		if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Address); err != nil {
			return fmt.Errorf("http: %w", err)
		}
	}
	s.server = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.deps.Telemetry.Log.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("http: %w", err)
		}
	}()
	s.health.Started()
	return nil
}

// handler is the whole of what the outside sees.
func (s *Service) handler(client *kit.Client, trusted origin.Trusted) (http.Handler, error) {
	document, err := json.Marshal(openapi.Document())
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	mux := http.NewServeMux()
	(&route.Router{Client: client, Keys: s.keys, Feed: s.feed, Granted: s.granted, Tails: s.tails, Telemetry: s.deps.Telemetry, Trusted: trusted}).Mount(mux)
	pages := web.Handler()
	for _, pattern := range web.Patterns() {
		mux.Handle(pattern, pages)
	}
	mux.Handle(bundle.Pattern, bundle.New(client, s.deps.Telemetry.Log))
	for pattern, page := range s.cfg.Pages {
		mux.Handle(pattern, page)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // the client is gone: nobody is left to tell
	})
	catalogue, err := json.Marshal(map[string]any{"items": events.Catalogue()})
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	mux.HandleFunc("GET /api/v1/events/catalogue", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(catalogue) // as above
	})
	schema := manifest.Schema()
	mux.HandleFunc("GET /schemas/manifest.v2.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/schema+json")
		w.Header().Set("Access-Control-Allow-Origin", "*") // editors in browsers read it
		_, _ = w.Write(schema)                             // as above
	})
	s.health = kit.NewHealth(s.deps.NATS, "auth", "rbac", "tenant", "audit")
	mux.HandleFunc("GET /healthz", s.health.Live)
	mux.HandleFunc("GET /readyz", s.health.Ready)
	return s.recovered(mux), nil
}

// recovered answers a panic with a problem and keeps its stack in the log.
func (s *Service) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // the value itself
					panic(p) // an answer that cannot be finished
				}
				id := uuid.NewString()
				s.deps.Telemetry.LogPanic(r.URL.Path, id, p)
				contract.WriteProblem(w, &contract.Error{
					Code: contract.InternalError, Message: "internal error; quote the request id", RequestID: id,
				})
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// Failed tells of the listener's end, if it was not Stop that ended it.
func (s *Service) Failed() <-chan error { return s.failed }

// URL is where the bridge listens, once started.
func (s *Service) URL() string { return "http://" + s.listener.Addr().String() }

// OpenAPI renders the contract as an OpenAPI 3.1 document in YAML.
func OpenAPI() ([]byte, error) { return openapi.Document().YAML() }

// Stop implements kit.Service.
func (s *Service) Stop(ctx context.Context) error {
	var err error
	if s.server != nil {
		s.health.Drain()
		s.feed.Stop() // streams never finish by themselves
		s.granted.Stop()
		s.tails.Stop()
		err = kit.ShutdownHTTP(ctx, s.server)
	} else if s.listener != nil {
		err = s.listener.Close()
	}
	s.feed.Stop()
	s.granted.Stop()
	s.tails.Stop()
	s.keys.Stop()
	return err
}
