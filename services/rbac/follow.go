package rbac

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/rbac/internal/app"
)

// subject carries the replicas' announcements to each other. Nobody else may
// publish on it.
const subject = "core.beat.rbac"

// follow has announcements and events applied from now on.
func (s *Service) follow(ctx context.Context, js jetstream.JetStream) (err error) {
	if s.beats, err = s.deps.NATS.Subscribe(subject, func(msg *nats.Msg) { s.take("announcement", msg.Data) }); err != nil {
		return fmt.Errorf("rbac: %w", err)
	}
	s.follower, err = events.Follow(ctx, js, events.EventsStream,
		[]string{events.PolicyChanged.Subject("*"), events.PermissionsDeclared.Subject("*")},
		func(e events.Event) {
			if events.PermissionsDeclared.Is(e) {
				s.app.Redeclared()
				return
			}
			s.take("event", e.Data())
		},
		func(err error) { s.deps.Telemetry.Log.Warn("rbac: reading events", "error", err) })
	return err
}

// announce tells the other replicas of a step, ahead of its event.
func (s *Service) announce(step events.PolicyStep) {
	s.metrics.steps.WithLabelValues("own").Inc()
	if !s.deps.NATS.IsConnected() {
		return // buffered, it would be told late
	}
	data, err := json.Marshal(step)
	if err == nil {
		err = s.deps.NATS.Publish(subject, data)
	}
	if err != nil {
		s.deps.Telemetry.Log.Warn("rbac: step not announced", "tenant_id", step.TenantID, "error", err)
	}
}

// take takes in a step that this replica or another made.
func (s *Service) take(source string, data []byte) {
	var step events.PolicyStep
	if err := json.Unmarshal(data, &step); err != nil {
		s.deps.Telemetry.Log.Error("rbac: a step is not understood", "source", source, "error", err)
		return
	}
	if step.TenantID == app.Platform {
		return // no tenant's policy
	}
	engine := s.app.Engine
	if step.Revision == 1 && engine.Policy(step.TenantID) == nil {
		engine.Put(step.TenantID, decision.New())
	}
	switch engine.Step(step.TenantID, step.Revision, step.Changes) {
	case decision.Applied:
		s.metrics.steps.WithLabelValues(source).Inc()
	case decision.Gap:
		s.metrics.gaps.Inc() // the steps before it come, or the poll finds out
	}
}
