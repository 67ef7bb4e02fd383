package audit

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/granted"
	"github.com/buildify/core/services/audit/internal/webhooks"
)

// startGranted gives modules their events and serves their subscriptions. Stream
// EVENTS exists.
func (s *Service) startGranted(ctx context.Context, js jetstream.JetStream) (err error) {
	if err := events.Ensure(ctx, js, events.GrantedStream, s.deps.Replicas); err != nil {
		return err
	}
	s.granted, err = granted.Start(ctx, granted.Config{
		DB: s.deps.DB, JetStream: js, Directory: s.directory, Grants: webhooks.Consents{Activations: s.directory},
		Log: s.deps.Telemetry.Log, Metrics: s.deps.Telemetry.Metrics,
	})
	if err != nil {
		return err
	}
	return errors.Join(
		kit.Handle(s.server, contract.Subscribe, s.granted.Subscribe),
		kit.Handle(s.server, contract.Unsubscribe, s.granted.Unsubscribe),
	)
}
