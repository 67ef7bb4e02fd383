// Package audit is the service that records what happened: ingress, trail and
// reading.
package audit

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/audit/internal/app"
	"github.com/buildify/core/services/audit/internal/granted"
	"github.com/buildify/core/services/audit/internal/ingest"
	"github.com/buildify/core/services/audit/internal/personal"
)

// Name of the service and of its schema.
const Name = "audit"

// Service serves audit operations.
type Service struct {
	deps      kit.Deps
	cfg       Config
	directory *directory.Directory
	users     *directory.UserVerifier
	server    *kit.Server
	ingester  *ingest.Ingester
	relay     *outbox.Relay
	ingress   *events.Group
	tenants   *events.Consumer
	calls     *events.Consumer
	sending   sending
	granted   *granted.App
	watch     watching
	personal  *personal.Personal

	running context.Context // ends with Stop
	stop    context.CancelFunc
	days    sync.WaitGroup // of daily
}

// Config is what the service needs beside its connections.
type Config struct {
	// Secret is the installation's secret, at least 32 bytes: what is kept secret
	// is sealed under it.
	Secret []byte
	// Webhooks says how webhooks are sent; the zero value is for production.
	Webhooks WebhooksConfig
	// Proofs says how the trails are made provable; the zero value will do.
	Proofs ProofsConfig
	// Retention is for how long events stay in trails of tenants that have no rule of
	// their own.
	Retention Days
}

// New returns the service, not started.
func New(deps kit.Deps, cfg Config) *Service {
	s := &Service{deps: deps, cfg: cfg, directory: directory.New(deps.Telemetry.Log)}
	s.running, s.stop = context.WithCancel(context.Background())
	return s
}

// Start implements kit.Service.
func (s *Service) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
		}
	}()
	js, err := s.deps.JetStream()
	if err != nil {
		return err
	}
	for _, stream := range []string{events.AuditStream, events.AccessStream, events.DeadStream} {
		if err := events.Ensure(ctx, js, stream, s.deps.Replicas); err != nil {
			return err
		}
	}
	watch := kit.NewStreamWatch(js, s.deps.Telemetry)
	s.days.Go(func() { watch.Run(s.running) })
	client := kit.NewClient(s.deps.NATS, s.deps.Telemetry)
	if err := s.directory.Start(ctx, client, js, directory.Tenants|directory.Members); err != nil {
		return err
	}
	if s.personal, err = personal.New(s.deps.DB, s.cfg.Secret); err != nil {
		return err
	}
	s.newWatching()
	s.ingester, err = ingest.Start(ctx, ingest.Config{
		DB: s.deps.DB, JetStream: js, Log: s.deps.Telemetry.Log, Metrics: s.deps.Telemetry.Metrics, Committed: s.grown, Seal: s.personal.Seal,
	})
	if err != nil {
		return err
	}
	s.daily(func(ctx context.Context) error { return ingest.EnsureMonths(ctx, s.deps.DB, time.Now()) })
	s.users = directory.NewUserVerifier(Name, client, s.directory, s.deps.Telemetry)
	if err := s.users.Start(ctx, js); err != nil {
		return err
	}
	s.server, err = kit.NewServer(kit.ServerConfig{
		Service: Name, Version: s.deps.Version, NATS: s.deps.NATS, Telemetry: s.deps.Telemetry,
		Users: s.users, Permissions: kit.RemotePermissions{Client: client},
	})
	if err != nil {
		return err
	}
	s.relay = outbox.Start(s.deps.DB, js, Name, s.deps.Telemetry.Log, s.deps.Telemetry.Metrics)
	s.ingress = events.NewGroup(js)
	a := &app.App{DB: s.deps.DB, Directory: s.directory, Ingress: s.ingress, Committed: s.relay.Notify}
	if err := s.startWebhooks(ctx, js, a); err != nil {
		return err
	}
	if err := s.startGranted(ctx, js); err != nil {
		return err
	}
	if err := s.startCalls(ctx, js, a); err != nil {
		return err
	}
	s.tenants, err = kit.Consume(ctx, js, s.deps.Telemetry, events.ConsumeConfig{
		Stream: events.EventsStream, Durable: Name + "_lifecycle", Subjects: []string{events.TenantErasing.Subject("*")},
	}, a.EraseTenant)
	if err != nil {
		return err
	}
	return errors.Join(
		kit.Handle(s.server, contract.LogAudit, a.Log),
		s.handleReading(),
		s.handleDeadLetters(),
		s.startWatch(a),
		s.startProofs(ctx),
	)
}

// Stop implements kit.Service.
func (s *Service) Stop(ctx context.Context) error {
	s.stop()
	var err error
	if s.server != nil {
		err = s.server.Stop(ctx)
	}
	s.tenants.Stop(ctx)
	s.calls.Stop(ctx)
	s.sending.end(ctx)
	s.granted.Stop()
	s.ingress.Stop(ctx)
	if s.ingester != nil {
		s.ingester.Stop()
	}
	s.days.Wait()
	s.users.Stop()
	s.directory.Stop()
	if s.relay != nil {
		err = errors.Join(err, s.relay.Stop(ctx))
	}
	return err
}
