package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// followSuspensions closes the connections to the bus of modules that the
// platform suspends, and of those that it suspended while nobody looked.
func (s *Service) followSuspensions(ctx context.Context, js jetstream.JetStream) (err error) {
	s.suspensions, err = events.Follow(ctx, js, events.EventsStream, []string{events.ModuleStateChanged.Subject("*")}, func(e events.Event) {
		var state contract.ModuleState
		if err := json.Unmarshal(e.Data(), &state); err != nil {
			s.deps.Telemetry.Log.Error("auth: event not understood", "id", e.ID(), "error", err)
			return
		}
		s.directory.PutModule(state) // its keys are refused from now on
		if state.Suspended {
			s.disconnectModule(state.Module)
		}
	}, func(err error) { s.deps.Telemetry.Log.Warn("auth: reading events", "error", err) })
	if err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	for _, module := range s.directory.SuspendedModules() {
		s.disconnectModule(module)
	}
	return nil
}

func (s *Service) disconnectModule(module string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.app.DisconnectModule(ctx, module); err != nil {
		s.deps.Telemetry.Log.Error("connections of a suspended module not closed", "module", module, "error", err)
	}
}
