// Package platform runs the whole core in one process: the bus, a private
// PostgreSQL, the five services. They are the same constructors that run
// apart in production; development is a configuration.
package platform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/pkg/kit/pgserver"
	"github.com/buildify/core/pkg/kit/process"
	"github.com/buildify/core/services/audit"
	"github.com/buildify/core/services/auth"
	"github.com/buildify/core/services/httpbridge"
	"github.com/buildify/core/services/rbac"
	"github.com/buildify/core/services/tenant"
)

// OutboxPath is where the bridge shows, on this machine only, the e-mails that
// nobody is sent.
const OutboxPath = "/dev/mail"

// Config says where a platform listens and keeps its data.
type Config struct {
	// HTTP, NATS and Ops are addresses to listen on; port 0 picks a free one.
	HTTP, NATS, Ops string
	// Data is the directory of everything that is kept; it is made if needed.
	Data string
	// DatabaseURL is a PostgreSQL to use; empty starts a private one.
	DatabaseURL string
	// Logs receives JSON lines; nil discards them.
	Logs io.Writer
	// Notices receives what a person at a terminal waits for, such as the
	// download of PostgreSQL; nil sends it to Logs.
	Notices *slog.Logger
	// WebhooksAllowPrivate has webhooks sent to http and private addresses too.
	WebhooksAllowPrivate bool
	// LogLevel and TraceSample are as in kit.TelemetryConfig.
	LogLevel    slog.Level
	TraceSample float64
}

// Platform is a running core.
//
//	Start ──▶ running ── Stop ──▶ stopped
type Platform struct {
	// HTTPURL, NATSURL and OpsURL are where the platform listens.
	HTTPURL, NATSURL, OpsURL string
	// Client calls operations as the operator.
	Client *kit.Client

	cfg       Config
	telemetry *kit.Telemetry
	stack     *process.Stack
	url       func(user string) string
	postgres  *pgserver.Server
	auth      *auth.Service
	bridge    *httpbridge.Service
	http      net.Listener
}

// Start brings everything up in order, database, bus, services, bridge, and
// returns when all of it answers. Whatever it began before failing it undoes.
func Start(ctx context.Context, cfg Config) (_ *Platform, err error) {
	p := &Platform{cfg: cfg, stack: &process.Stack{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	if err := errors.Join(p.listen(), free("nats", cfg.NATS), free("ops", cfg.Ops)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, err
	}
	p.telemetry, err = kit.NewTelemetry(ctx, kit.TelemetryConfig{
		Process: "buildify", LogWriter: cfg.Logs, LogLevel: cfg.LogLevel, TraceSample: cfg.TraceSample,
	})
	if err != nil {
		return nil, err
	}
	p.stack.Push("telemetry", p.telemetry.Stop)
	// Neither needs the other.
	databaseUp := make(chan error, 1)
	go func() { databaseUp <- p.startDatabase(ctx) }()
	busErr := p.startBus(ctx)
	if err := errors.Join(<-databaseUp, busErr); err != nil {
		return nil, err
	}
	if err := p.startServices(ctx); err != nil {
		return nil, err
	}
	operator, err := p.connect(ctx, natsconn.Operator)
	if err != nil {
		return nil, err
	}
	p.Client = kit.NewClient(operator.NATS, p.telemetry)
	health := kit.NewHealth(operator.NATS, tenant.Name, auth.Name, rbac.Name, audit.Name)
	ops, err := kit.StartOps(ctx, cfg.Ops, p.telemetry, health)
	if err != nil {
		return nil, err
	}
	p.stack.Push("ops", ops.Stop)
	health.Started()
	p.OpsURL = ops.URL()
	return p, nil
}

// listen takes the bridge's port before anything else: links in e-mails name
// it. The bridge serves it once all is up.
func (p *Platform) listen() (err error) {
	if p.http, err = listen("http", p.cfg.HTTP); err != nil {
		return err
	}
	p.stack.Push("http", func(context.Context) error {
		_ = p.http.Close() // by the bridge already, if it came that far
		return nil
	})
	return nil
}

func listen(flag, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s is not free (%w); choose another with --%s HOST:PORT, port 0 for any", address, errors.Unwrap(err), flag)
	}
	return listener, nil
}

// free tells early, and in one line, that a port is taken.
func free(flag, address string) error {
	listener, err := listen(flag, address)
	if err != nil {
		return err
	}
	return listener.Close()
}

// publicURL is where browsers on this machine reach the bridge; passkeys want
// a name, not an address.
func (p *Platform) publicURL() *url.URL {
	_, port, _ := net.SplitHostPort(p.http.Addr().String()) // an address that is listened on
	return &url.URL{Scheme: "http", Host: net.JoinHostPort("localhost", port)}
}

func (p *Platform) path(name string) string { return filepath.Join(p.cfg.Data, name) }

// Credentials is the directory with the bus users' seeds.
func (p *Platform) Credentials() string { return p.path("bus") }

func (p *Platform) startDatabase(ctx context.Context) error {
	p.url = func(string) string { return p.cfg.DatabaseURL }
	if p.cfg.DatabaseURL == "" {
		server, err := pgserver.Start(ctx, pgserver.Config{
			Dir: p.path("postgres"), Log: cmp.Or(p.cfg.Notices, p.telemetry.Log),
		})
		if err != nil {
			return err
		}
		p.postgres = server
		p.url = func(user string) string { return server.URL("", user) }
	}
	return database.Migrate(ctx, p.url(""), func(service, file string) {
		p.telemetry.Log.Info("migrated", "service", service, "file", file)
	})
}

func (p *Platform) startBus(ctx context.Context) error {
	if err := natsserver.Init(p.Credentials()); err != nil {
		return err
	}
	server, err := natsserver.Start(ctx, natsserver.Config{
		Dir: p.Credentials(), Listen: p.cfg.NATS, StoreDir: p.path("jetstream"), Log: p.telemetry.Log,
	})
	if err != nil {
		return err
	}
	p.NATSURL = server.URL()
	p.stack.Push("bus", server.Stop)
	return nil
}

// connect gives a service its own user of the bus.
func (p *Platform) connect(ctx context.Context, user string) (kit.Deps, error) {
	nc, err := natsconn.Connect(ctx, natsconn.Config{
		URL: p.NATSURL, User: user, SeedFile: natsserver.SeedFile(p.Credentials(), user), Log: p.telemetry.Log,
	})
	if err != nil {
		return kit.Deps{}, err
	}
	p.stack.Push("bus "+user, func(context.Context) error { nc.Close(); return nil })
	return kit.Deps{NATS: nc, Telemetry: p.telemetry, Version: process.Version, Replicas: 1}, nil
}

// startServices starts them in the order of what they ask of each other;
// tenant and auth ask one another.
func (p *Platform) startServices(ctx context.Context) error {
	type service struct {
		name string
		make func(kit.Deps) (kit.Service, error)
	}
	for _, together := range [][]service{
		{
			{tenant.Name, func(d kit.Deps) (kit.Service, error) { return p.newTenant(d) }},
			{auth.Name, func(d kit.Deps) (kit.Service, error) { return p.newAuth(ctx, d) }},
		},
		{{rbac.Name, func(d kit.Deps) (kit.Service, error) { return rbac.New(d, rbac.Config{}), nil }}},
		{{audit.Name, func(d kit.Deps) (kit.Service, error) { return p.newAudit(d) }}},
		{{httpbridge.Name, func(d kit.Deps) (kit.Service, error) {
			p.bridge = httpbridge.New(d, httpbridge.Config{
				Listener: p.http, Pages: map[string]http.Handler{"GET " + OutboxPath: p.auth.Outbox()},
			})
			return p.bridge, nil
		}}},
	} {
		starting, ctx := errgroup.WithContext(ctx)
		var ready []func() error
		var pushing sync.Mutex
		for _, s := range together {
			deps, err := p.serviceDeps(ctx, s.name)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			made, err := s.make(deps)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			ready = append(ready, func() error {
				if err := made.Start(ctx); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				pushing.Lock()
				defer pushing.Unlock()
				p.stack.Push(s.name, made.Stop)
				return nil
			})
		}
		for _, start := range ready {
			starting.Go(start)
		}
		if err := starting.Wait(); err != nil {
			return err
		}
	}
	p.HTTPURL = p.bridge.URL()
	return nil
}

// serviceDeps connects a service to the bus and to its database.
func (p *Platform) serviceDeps(ctx context.Context, name string) (kit.Deps, error) {
	deps, err := p.connect(ctx, name)
	if err != nil || name == httpbridge.Name {
		return deps, err
	}
	if deps.DB, err = database.Open(ctx, p.url(""), name, 0); err != nil {
		return deps, err
	}
	p.stack.Push(name+" database", func(context.Context) error { deps.DB.Close(); return nil })
	return deps, nil
}

func (p *Platform) newTenant(deps kit.Deps) (kit.Service, error) {
	secret, err := p.secret()
	return tenant.New(deps, tenant.Config{Secret: secret}), err
}

func (p *Platform) newAudit(deps kit.Deps) (kit.Service, error) {
	secret, err := p.secret()
	return audit.New(deps, audit.Config{
		Secret: secret, Webhooks: audit.WebhooksConfig{AllowPrivate: p.cfg.WebhooksAllowPrivate},
		Proofs: audit.ProofsConfig{Interval: time.Second},
	}), err
}

func (p *Platform) newAuth(ctx context.Context, deps kit.Deps) (kit.Service, error) {
	secret, err := p.secret()
	if err != nil {
		return nil, err
	}
	callout, err := p.connect(ctx, natsconn.Callout)
	if err != nil {
		return nil, err
	}
	system, err := p.connect(ctx, natsconn.System)
	if err != nil {
		return nil, err
	}
	issuer, issuerErr := natsserver.ReadSeed(p.Credentials(), natsserver.Issuer)
	xkey, xkeyErr := natsserver.ReadSeed(p.Credentials(), natsserver.XKey)
	p.auth = auth.New(deps, auth.Config{
		Secret: secret, Callout: callout.NATS, System: system.NATS, Issuer: issuer, XKey: xkey,
		PublicURL: p.publicURL(), Outbox: true,
	})
	return p.auth, errors.Join(issuerErr, xkeyErr)
}

// Failed tells that a part that must not end has ended, and why.
func (p *Platform) Failed(ctx context.Context) error {
	var postgres <-chan struct{}
	if p.postgres != nil {
		postgres = p.postgres.Done()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.bridge.Failed():
		return err
	case <-postgres:
		return p.postgres.Err()
	}
}

// Stop stops everything in reverse order; it is idempotent.
func (p *Platform) Stop() error {
	err := p.stack.Close(process.StopTimeout)
	if p.postgres != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, p.postgres.Stop(ctx))
	}
	return err
}
