// Package rbac is the service that owns roles and bindings, and decides.
package rbac

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/rbac/internal/app"
	"github.com/buildify/core/services/rbac/internal/engine"
)

// Name of the service and of its schema.
const Name = "rbac"

// Service serves rbac operations.
type Service struct {
	deps      kit.Deps
	directory *directory.Directory
	app       *app.App
	server    *kit.Server
	relay     *outbox.Relay
	follower  *events.Follower
	changed   chan string
	stopping  chan struct{}
	stopOnce  sync.Once
	reloading sync.WaitGroup
}

// New returns the service, not started.
func New(deps kit.Deps) *Service {
	d := directory.New(deps.Telemetry.Log)
	return &Service{
		deps: deps, directory: d, changed: make(chan string, 1024), stopping: make(chan struct{}),
		app: &app.App{DB: deps.DB, Directory: d, Engine: engine.New()},
	}
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
	s.app.Committed = s.relay.Notify
	s.server, err = kit.NewServer(kit.ServerConfig{
		Service: Name, Version: s.deps.Version, NATS: s.deps.NATS, Telemetry: s.deps.Telemetry,
	})
	if err != nil {
		return err
	}
	if err := s.directory.Start(ctx, kit.NewClient(s.deps.NATS, s.deps.Telemetry), js, directory.Tenants|directory.Members); err != nil {
		return err
	}
	s.follower, err = events.Follow(ctx, js, events.EventsStream, []string{events.BindingsChanged.Subject("*")}, s.apply,
		func(err error) { s.deps.Telemetry.Log.Warn("rbac: reading events", "error", err) })
	if err != nil {
		return err
	}
	if err := s.app.Load(ctx, database.Everything); err != nil {
		return err
	}
	s.reloading.Go(s.reload)
	return errors.Join(
		kit.HandleFast(s.server, contract.CheckPermission, s.app.Check, nil),
		kit.HandleFast(s.server, contract.ListPermissions, s.app.Permissions, nil),
		kit.Handle(s.server, contract.PutRole, s.app.PutRole),
		kit.Handle(s.server, contract.BindRole, s.app.Bind),
		kit.Handle(s.server, contract.UnbindRole, s.app.Unbind),
	)
}

// apply hears of a tenant's new revision, made by this replica or another.
func (s *Service) apply(e events.Event) {
	var change events.PolicyChanged
	if err := json.Unmarshal(e.Data(), &change); err != nil {
		s.deps.Telemetry.Log.Error("rbac: event not understood", "id", e.ID(), "error", err)
		return
	}
	if change.Revision > s.app.Engine.Policy(change.TenantID).Revision {
		select {
		case s.changed <- change.TenantID:
		case <-s.stopping:
		}
	}
}

// reload brings tenants up to date one after the other; a database that is
// away is asked again until it is back.
func (s *Service) reload() {
	for {
		select {
		case <-s.stopping:
			return
		case tenant := <-s.changed:
			for !s.loaded(tenant) {
				select {
				case <-s.stopping:
					return
				case <-time.After(200 * time.Millisecond):
				}
			}
		}
	}
}

func (s *Service) loaded(tenant string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := s.app.Load(ctx, tenant)
	if err != nil {
		s.deps.Telemetry.Log.Warn("rbac: policy not reloaded; will try again", "tenant_id", tenant, "error", err)
	}
	return err == nil
}

// Stop implements kit.Service.
func (s *Service) Stop(ctx context.Context) error {
	var err error
	if s.server != nil {
		err = s.server.Stop(ctx)
	}
	s.stopOnce.Do(func() { close(s.stopping) })
	s.reloading.Wait()
	s.follower.Stop()
	s.directory.Stop()
	if s.relay != nil {
		err = errors.Join(err, s.relay.Stop(ctx))
	}
	return err
}
