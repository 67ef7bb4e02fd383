package audit

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/app"
	"github.com/buildify/core/services/audit/internal/calls"
)

// callsKept is for how long records of calls are kept.
const callsKept = 90 * 24 * time.Hour

// startCalls takes in and serves the records of calls.
func (s *Service) startCalls(ctx context.Context, js jetstream.JetStream, a *app.App) error {
	c, err := calls.New(s.deps.DB, s.deps.Telemetry.Log, a.Deny)
	if err != nil {
		return err
	}
	a.EraseCalls = c.Erase
	s.calls, err = kit.Consume(ctx, js, s.deps.Telemetry, events.ConsumeConfig{
		Stream: events.AccessStream, Durable: calls.Durable, Subjects: []string{events.AccessSubject("*")},
	}, c.Take)
	if err != nil {
		return err
	}
	s.daily(func(ctx context.Context) error {
		_, err := c.Expire(ctx, time.Now().Add(-callsKept))
		return err
	})
	return kit.Handle(s.server, contract.ListCalls, func(ctx context.Context, r *contract.ListCallsRequest) (*contract.ListCallsResponse, error) {
		tenant, err := app.TrailOf(ctx, r.TenantID)
		if err != nil {
			return nil, err
		}
		return c.List(ctx, tenant, r)
	})
}
