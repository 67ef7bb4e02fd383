// Package tenant is the service that owns tenants and the modules they enable.
package tenant

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/tenant/internal/app"
	"github.com/buildify/core/services/tenant/internal/store"
)

// Name of the service and of its schema.
const Name = "tenant"

// Service serves tenant operations.
type Service struct {
	deps      kit.Deps
	directory *directory.Directory
	users     *directory.UserVerifier
	server    *kit.Server
	relay     *outbox.Relay
	store     *store.Store
	app       *app.App
}

// New returns the service, not started.
func New(deps kit.Deps) *Service {
	return &Service{deps: deps, directory: directory.New(deps.Telemetry.Log)}
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
	s.relay = outbox.Start(s.deps.DB, js, Name, s.deps.Telemetry.Log, s.deps.Telemetry.Metrics)
	s.store = &store.Store{DB: s.deps.DB, Committed: s.relay.Notify}
	s.app = &app.App{Store: s.store, Directory: s.directory}
	client := kit.NewClient(s.deps.NATS, s.deps.Telemetry)
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
	return errors.Join(s.handleTenants(), s.handleUnits())
}

func (s *Service) handleSnapshots() error {
	return errors.Join(
		kit.Handle(s.server, contract.ListTenants, s.app.ListAll),
		kit.Handle(s.server, contract.ListUnits, s.app.ListUnits),
	)
}

func (s *Service) handleTenants() error {
	return errors.Join(
		kit.HandleFast(s.server, contract.GetTenant, s.app.Get, nil),
		kit.HandleFast(s.server, contract.GetTenantModule, s.app.Module, nil),
		kit.Handle(s.server, contract.CreateTenant, s.app.Create),
		kit.Handle(s.server, contract.SetTenantActive, s.app.SetActive),
		kit.Handle(s.server, contract.SetTenantModule, s.app.SetModule),
	)
}

func (s *Service) handleUnits() error {
	return kit.Handle(s.server, contract.PutUnit, s.app.PutUnit)
}

// Stop implements kit.Service.
func (s *Service) Stop(ctx context.Context) error {
	var err error
	if s.server != nil {
		err = s.server.Stop(ctx)
	}
	s.users.Stop()
	s.directory.Stop()
	if s.relay != nil {
		err = errors.Join(err, s.relay.Stop(ctx))
	}
	return err
}
