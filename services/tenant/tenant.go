// Package tenant is the service that owns tenants and the modules they enable.
package tenant

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/pkg/kit/sealed"
	"github.com/buildify/core/services/tenant/internal/app"
	"github.com/buildify/core/services/tenant/internal/registry"
	"github.com/buildify/core/services/tenant/internal/settings"
	"github.com/buildify/core/services/tenant/internal/store"
)

// Name of the service and of its schema.
const Name = "tenant"

// Service serves tenant operations.
type Service struct {
	deps      kit.Deps
	cfg       Config
	directory *directory.Directory
	users     *directory.UserVerifier
	server    *kit.Server
	relay     *outbox.Relay
	store     *store.Store
	app       *app.App
	registry  *registry.Registry
	settings  *settings.App
	lifecycle lifecycle
	heads     *events.Consumer
	forgotten *events.Consumer
	// menuChanges and moduleChanges are of all tenants, in every replica.
	menuChanges, moduleChanges *events.Follower

	connected chan nats.Status // tells when the bus is back
	telling   sync.WaitGroup

	changed     chan struct{} // wakes the registry's keeper
	stopKeeping context.CancelFunc
	keeping     sync.WaitGroup
}

// Config is what the service needs beside its connections.
type Config struct {
	// Secret is the installation's secret, at least 32 bytes: secret settings are
	// sealed under it.
	Secret []byte
}

// New returns the service, not started.
func New(deps kit.Deps, cfg Config) *Service {
	return &Service{deps: deps, cfg: cfg, directory: directory.New(deps.Telemetry.Log), changed: make(chan struct{}, 1)}
}

// Start implements kit.Service.
func (s *Service) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
		}
	}()
	box, err := sealed.NewBox(s.cfg.Secret, "buildify settings v1")
	if err != nil {
		return err
	}
	js, err := s.deps.JetStream()
	if err != nil {
		return err
	}
	if err := events.Ensure(ctx, js, events.EventsStream, s.deps.Replicas); err != nil {
		return err
	}
	s.relay = outbox.Start(s.deps.DB, js, Name, s.deps.Telemetry.Log, s.deps.Telemetry.Metrics)
	s.store = &store.Store{DB: s.deps.DB, Committed: s.relay.Notify}
	s.app = &app.App{Store: s.store, Directory: s.directory}
	client := kit.NewClient(s.deps.NATS, s.deps.Telemetry)
	s.registry = &registry.Registry{
		Store: s.store, Directory: s.directory, Client: client, Log: s.deps.Telemetry.Log, Changed: s.registryChanged,
		Core: releasedCore(s.deps.Version), HasKeys: hasKeys(client),
	}
	s.settings = &settings.App{Store: s.store, Directory: s.directory, Schemas: s.registry, Box: box, Configured: s.registry.Configured}
	s.registry.Settings = s.settings
	if err := s.settings.CheckSecret(ctx); err != nil {
		return err
	}
	s.users = directory.NewUserVerifier(Name, client, s.directory, s.deps.Telemetry)
	s.server, err = kit.NewServer(kit.ServerConfig{
		Service: Name, Version: s.deps.Version, NATS: s.deps.NATS, Telemetry: s.deps.Telemetry,
		Users: s.users, Permissions: kit.RemotePermissions{Client: client},
	})
	if err != nil {
		return err
	}
	// The snapshots first: this service's own projection is taken from them too.
	if err := s.handleSnapshots(); err != nil {
		return err
	}
	if err := s.directory.Start(ctx, client, js, directory.Tenants|directory.Members|directory.Units); err != nil {
		return err
	}
	if err := s.users.Start(ctx, js); err != nil {
		return err
	}
	s.keepModules(ctx)
	return errors.Join(
		s.handleTenants(), s.handleOrg(client), s.startOrg(ctx, js), s.handleModules(), s.handleRegistry(),
		s.handleLifecycle(), s.startLifecycle(ctx, js),
		s.handleSettings(), s.startSettings(ctx, js), s.startNews(ctx, js), s.handleMenu(ctx, client, js),
	)
}

func (s *Service) handleSnapshots() error {
	return errors.Join(
		kit.Handle(s.server, contract.ListTenants, s.app.ListAll),
		kit.Handle(s.server, contract.ListModuleStates, s.registry.ListModuleStates),
		kit.Handle(s.server, contract.ListUnits, s.app.ListUnits),
	)
}

func (s *Service) handleTenants() error {
	return kit.HandleFast(s.server, contract.GetTenant, s.app.Get, nil)
}

// Stop implements kit.Service.
func (s *Service) Stop(ctx context.Context) error {
	var err error
	if s.server != nil {
		err = s.server.Stop(ctx)
	}
	s.lifecycle.end(ctx)
	s.heads.Stop(ctx)
	s.forgotten.Stop(ctx)
	s.menuChanges.Stop()
	s.stopNews()
	if s.stopKeeping != nil {
		s.stopKeeping()
	}
	s.keeping.Wait()
	s.users.Stop()
	s.directory.Stop()
	if s.relay != nil {
		err = errors.Join(err, s.relay.Stop(ctx))
	}
	return err
}
