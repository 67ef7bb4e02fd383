// Package rbac is the service that owns roles, groups and bindings, and decides.
//
// A change is written, with its event, in one transaction at the tenant's next
// revision (internal/app/change.go), and comes to every replica's engine in
// three ways that cover for each other:
//
//	commit ──▶ announcement on core.beat.rbac       at once, may be lost    follow.go
//	       ──▶ event in the stream EVENTS           milliseconds            follow.go
//	       ──▶ revisions in PostgreSQL, every 250 ms: the truth             poll.go
//
// What the engine takes in is told to modules that decide locally (feed.go).
// What others own and decisions depend on becomes part of the policy too
// (states.go), and the engine is held against the database all the time
// (verify.go).
package rbac

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/rbac/internal/app"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// Name of the service and of its schema.
const Name = "rbac"

// Config is what an operator may choose.
type Config struct {
	// CacheTenants is how many tenants' policies are kept in memory while they
	// are not asked about; 0 keeps all.
	CacheTenants int
}

// Service serves rbac operations.
type Service struct {
	deps      kit.Deps
	cfg       Config
	metrics   *metrics
	directory *directory.Directory
	users     *directory.UserVerifier
	app       *app.App
	server    *kit.Server
	relay     *outbox.Relay
	follower  *events.Follower
	tenants   *events.Consumer
	beats     *nats.Subscription
	states    states
	// By the database's clock: everything before polled is known here, and
	// everything before told has been told to modules.
	polled, told time.Time
	asked        atomic.Int64 // when the database was, in nanoseconds since 1970

	stop context.CancelFunc
	done sync.WaitGroup
}

// New returns the service, not started.
func New(deps kit.Deps, cfg Config) *Service {
	d := directory.New(deps.Telemetry.Log)
	s := &Service{deps: deps, cfg: cfg, directory: d, states: newStates()}
	s.app = &app.App{
		DB: deps.DB, Directory: d, Engine: decision.NewEngine(), Log: deps.Telemetry.Log, Announce: s.announce, HeldUp: s.heldUp,
	}
	s.app.Engine.OnApplied(s.applied)
	s.metrics = newMetrics(deps.Telemetry.Metrics, s.app.Engine)
	d.Watch(s.states.dirty)
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
	if err := events.Ensure(ctx, js, events.EventsStream, s.deps.Replicas); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.relay = outbox.Start(s.deps.DB, js, Name, s.deps.Telemetry.Log, s.deps.Telemetry.Metrics)
	s.app.Committed = s.relay.Notify
	client := kit.NewClient(s.deps.NATS, s.deps.Telemetry)
	s.app.Core = client
	if err := s.follow(ctx, js); err != nil {
		return err
	}
	if err := s.directory.Start(ctx, client, js, directory.Tenants|directory.Members|directory.Units); err != nil {
		return err
	}
	s.users = directory.NewUserVerifier(Name, client, s.directory, s.deps.Telemetry)
	if err := s.users.Start(ctx, js); err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	s.done.Go(func() { s.states.run(running, s.takeIn) })
	s.done.Go(func() { s.pollAll(running) })
	s.done.Go(func() { s.verifyAll(running) })
	s.server, err = kit.NewServer(kit.ServerConfig{
		Service: Name, Version: s.deps.Version, NATS: s.deps.NATS, Telemetry: s.deps.Telemetry,
		Users: s.users, Permissions: s.app,
	})
	if err != nil {
		return err
	}
	if err := s.followTenants(ctx, js); err != nil {
		return err
	}
	return errors.Join(s.handleQuestions(), s.handleAdmin())
}

// load reads all policies, after what others own has become part of them.
func (s *Service) load(ctx context.Context) error {
	log := s.deps.Telemetry.Log
	_, _, _ = s.states.take() // it is part of everything
	if err := s.takeIn(ctx, s.directory.TenantIDs(), nil); err != nil {
		return fmt.Errorf("rbac: %w", err)
	}
	err := s.deps.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		s.polled, err = db.New(tx).Clock(ctx)
		s.told = s.polled.Add(-unheard)
		return err
	})
	if err != nil {
		return fmt.Errorf("rbac: %w", err)
	}
	if s.cfg.CacheTenants > 0 {
		return nil // each is loaded when it is asked about
	}
	return s.app.LoadAll(ctx, func(tenants int) { log.Info("rbac: loading policies", "tenants", tenants) })
}

func (s *Service) handleQuestions() error {
	return errors.Join(
		kit.HandleFast(s.server, contract.CheckPermission, s.app.CheckFast, s.app.Check),
		kit.HandleFast(s.server, contract.CheckPermissions, s.app.CheckBatchFast, s.app.CheckBatch),
		kit.Handle(s.server, contract.ListPermissions, s.app.Permissions),
		kit.Handle(s.server, contract.WhoCan, s.app.WhoCan),
		kit.Handle(s.server, contract.Explain, s.app.Explain),
		kit.Handle(s.server, contract.Simulate, s.app.Simulate),
		kit.Handle(s.server, contract.EffectivePermissions, s.app.Effective),
		kit.Handle(s.server, contract.MayAdminister, s.app.MayAdminister),
		kit.Handle(s.server, contract.MayMoveUnit, s.app.MayMoveUnit),
		kit.Handle(s.server, contract.PolicySnapshot, s.app.Snapshot),
	)
}

// Stop implements kit.Service.
func (s *Service) Stop(ctx context.Context) error {
	var err error
	if s.server != nil {
		err = s.server.Stop(ctx)
	}
	s.tenants.Stop(ctx)
	if s.stop != nil {
		s.stop()
	}
	s.done.Wait()
	if s.beats != nil {
		_ = s.beats.Unsubscribe() // fails when the connection is closed: as good
	}
	s.follower.Stop()
	s.users.Stop()
	s.directory.Stop()
	if s.relay != nil {
		err = errors.Join(err, s.relay.Stop(ctx))
	}
	return err
}
