package tenant

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

// handleSettings serves settings.
func (s *Service) handleSettings() error {
	return errors.Join(
		kit.Handle(s.server, contract.ListSettings, s.settings.List),
		kit.Handle(s.server, contract.GetSettingsSchema, s.settings.GetSchema),
		kit.Handle(s.server, contract.GetSettings, s.settings.Get),
		kit.Handle(s.server, contract.UpdateSettings, s.settings.Update),
		kit.Handle(s.server, contract.ListSettingsHistory, s.settings.History),
		kit.Handle(s.server, contract.GetMySettings, s.settings.GetMine),
		kit.Handle(s.server, contract.UpdateMySettings, s.settings.UpdateMine),
		kit.Handle(s.server, contract.GetModuleSettings, s.settings.Module),
	)
}

// startSettings takes in who is deleted.
func (s *Service) startSettings(ctx context.Context, js jetstream.JetStream) (err error) {
	s.forgotten, err = kit.Consume(ctx, js, s.deps.Telemetry, events.ConsumeConfig{
		Stream: events.EventsStream, Durable: Name + "_settings", Subjects: []string{events.UserChanged.Subject("*")},
	}, s.settings.MemberChanged)
	return err
}
