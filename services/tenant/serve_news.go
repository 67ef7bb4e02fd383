package tenant

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// startNews has every replica hear of what concerns modules, and tell it to
// them. Several tell the same; what is told says only what to read again.
func (s *Service) startNews(ctx context.Context, js jetstream.JetStream) (err error) {
	log := s.deps.Telemetry.Log
	subjects := []string{events.SettingsChanged.Subject("*"), events.HookCalled.Subject("*"), events.ModuleChanged.Subject("*")}
	s.moduleChanges, err = events.Follow(ctx, js, events.EventsStream, subjects, func(e events.Event) {
		if err := s.hear(e); err != nil {
			log.Error("tenant: what concerns a module is not understood", "id", e.ID(), "error", err)
		}
	}, func(err error) { log.Warn("tenant: reading what concerns modules", "error", err) })
	if err != nil {
		return err
	}
	s.connected = s.deps.NATS.StatusChanged(nats.CONNECTED)
	s.telling.Go(func() {
		// What happened before, or while the bus was away, was told by nobody,
		// perhaps.
		for again := true; again; _, again = <-s.connected {
			for _, module := range s.directory.Modules() {
				s.tell(module, contract.NewsOfAll, contract.ModuleNewsMessage{})
			}
		}
	})
	return nil
}

func (s *Service) stopNews() {
	s.moduleChanges.Stop()
	if s.connected != nil {
		s.deps.NATS.RemoveStatusListener(s.connected)
	}
	s.telling.Wait()
}

// hear takes in an event, in their order, and tells the module that it concerns.
func (s *Service) hear(e events.Event) error {
	switch {
	case events.SettingsChanged.Is(e):
		var change events.SettingsChange
		if err := json.Unmarshal(e.Data(), &change); err != nil {
			return err
		}
		s.settings.Changed(change)
		s.tellOfSettings(change)
		s.registryChanged() // there may be a hook to be told
	case events.HookCalled.Is(e):
		var call events.HookCall
		if err := json.Unmarshal(e.Data(), &call); err != nil {
			return err
		}
		s.tell(call.Module, call.TenantID, contract.ModuleNewsMessage{TenantID: call.TenantID, Hook: &call.Hook})
	case events.ModuleChanged.Is(e):
		var now contract.Activation
		if err := json.Unmarshal(e.Data(), &now); err != nil {
			return err
		}
		// The directory hears of it by itself, but perhaps after the next event
		// here, which may be of settings.
		s.directory.PutActivation(now)
		if now.Enabled { // its settings are those of its version
			s.tell(now.Module, now.TenantID, contract.ModuleNewsMessage{TenantID: now.TenantID})
		}
	}
	return nil
}

// tellOfSettings tells the module whose settings changed, if the tenant has it
// enabled.
func (s *Service) tellOfSettings(change events.SettingsChange) {
	message := contract.ModuleNewsMessage{
		TenantID: change.TenantID, UserID: change.UserID, Keys: change.Keys, SettingsRevision: change.Revision,
	}
	enabled := slices.ContainsFunc(s.directory.Activations(change.TenantID), func(a contract.Activation) bool {
		return a.Module == change.Namespace && a.Enabled
	})
	switch {
	case change.Namespace == contract.PlatformSettings: // of which modules are not told
	case change.TenantID == "":
		s.tell(change.Namespace, contract.NewsOfAll, message)
	case enabled:
		s.tell(change.Namespace, change.TenantID, message)
	}
}

// tell publishes on a module's news. It does not block.
func (s *Service) tell(module, tenant string, message contract.ModuleNewsMessage) {
	if !s.deps.NATS.IsConnected() {
		return // once it is back, the module is told to read everything again
	}
	data, err := json.Marshal(message)
	if err == nil {
		err = s.deps.NATS.PublishMsg(&nats.Msg{
			Subject: contract.NewsSubject(module, tenant), Data: data, Header: nats.Header{contract.HeaderFeed: {"1"}},
		})
	}
	if err != nil {
		s.deps.Telemetry.Log.Warn("tenant: module not told", "module", module, "error", err)
	}
}
