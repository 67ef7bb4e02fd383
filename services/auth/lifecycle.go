package auth

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

// followTenants does this service's part in making and ending tenants
// (docs/tenants.md), together with its other replicas.
func (s *Service) followTenants(ctx context.Context, js jetstream.JetStream) (err error) {
	s.tenants, err = kit.Consume(ctx, js, s.deps.Telemetry, events.ConsumeConfig{
		Stream: events.EventsStream, Durable: Name + "_lifecycle",
		Subjects: []string{events.TenantProvisioning.Subject("*"), events.TenantErasing.Subject("*")},
	}, func(ctx context.Context, e events.Event) error {
		if events.TenantErasing.Is(e) {
			return s.app.EraseTenant(ctx, e)
		}
		return s.app.FirstAdministrator(ctx, e)
	})
	return err
}
