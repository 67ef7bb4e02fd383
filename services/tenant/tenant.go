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
)

// Name of the service and of its schema.
const Name = "tenant"

// Service serves tenant operations.
type Service struct {
	deps      kit.Deps
	directory *directory.Directory
	server    *kit.Server
	relay     *outbox.Relay
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
	a := &app.App{DB: s.deps.DB, Directory: s.directory, Committed: s.relay.Notify}
	s.server, err = kit.NewServer(kit.ServerConfig{
		Service: Name, Version: s.deps.Version, NATS: s.deps.NATS, Telemetry: s.deps.Telemetry,
	})
	if err != nil {
		return err
	}
	// The snapshots first: this service's own projection is taken from them too.
	if err := errors.Join(
		kit.Handle(s.server, contract.ListTenants, a.ListAll),
		kit.Handle(s.server, contract.ListUnits, a.ListUnits),
	); err != nil {
		return err
	}
	if err := s.directory.Start(ctx, kit.NewClient(s.deps.NATS, s.deps.Telemetry), js, directory.Tenants); err != nil {
		return err
	}
	return errors.Join(
		kit.HandleFast(s.server, contract.GetTenant, a.Get, nil),
		kit.HandleFast(s.server, contract.GetTenantModule, a.Module, nil),
		kit.Handle(s.server, contract.CreateTenant, a.Create),
		kit.Handle(s.server, contract.SetTenantActive, a.SetActive),
		kit.Handle(s.server, contract.SetTenantModule, a.SetModule),
		kit.Handle(s.server, contract.PutUnit, a.PutUnit),
	)
}

// Stop implements kit.Service.
func (s *Service) Stop(ctx context.Context) error {
	var err error
	if s.server != nil {
		err = s.server.Stop(ctx)
	}
	s.directory.Stop()
	if s.relay != nil {
		err = errors.Join(err, s.relay.Stop(ctx))
	}
	return err
}
