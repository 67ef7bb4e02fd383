package tenant

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/menu"
)

// handleMenu serves menus, and has every replica hear of changes of the tenants'
// overrides.
func (s *Service) handleMenu(ctx context.Context, client *kit.Client, js jetstream.JetStream) (err error) {
	a := &menu.App{Store: s.store, Directory: s.directory, Permissions: menu.RemotePermissions{Client: client}, Contributions: s.registry, Settings: s.settings}
	log := s.deps.Telemetry.Log
	s.menuChanges, err = events.Follow(ctx, js, events.EventsStream, []string{events.MenuChanged.Subject("*")},
		func(e events.Event) {
			var change events.MenuChange
			if err := json.Unmarshal(e.Data(), &change); err != nil {
				log.Error("tenant: a change of a menu is not understood", "id", e.ID(), "error", err)
				return
			}
			a.Changed(change)
		},
		func(err error) { log.Warn("tenant: reading changes of menus", "error", err) })
	if err != nil {
		return err
	}
	return errors.Join(
		kit.Handle(s.server, contract.GetMenu, a.Get),
		kit.Handle(s.server, contract.GetMenuOverrides, a.GetOverrides),
		kit.Handle(s.server, contract.PutMenuOverrides, a.PutOverrides),
	)
}
