package tenant

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/app"
)

// sweepInterval lies between two looks for tenants to be erased.
const sweepInterval = 20 * time.Second

// lifecycle is what makes and ends tenants in the background.
type lifecycle struct {
	due      chan struct{}
	confirms *events.Consumer
	stop     context.CancelFunc
	stopped  chan struct{}
}

func (s *Service) handleLifecycle() error {
	return errors.Join(
		kit.Handle(s.server, contract.CreateTenant, s.app.Create),
		kit.Handle(s.server, contract.ReadTenant, s.app.Read),
		kit.Handle(s.server, contract.ListAllTenants, s.app.List),
		kit.Handle(s.server, contract.UpdateTenant, s.app.Update),
		kit.Handle(s.server, contract.SetTenantLimits, s.app.SetLimits),
		kit.Handle(s.server, contract.SuspendTenant, s.app.Suspend),
		kit.Handle(s.server, contract.ResumeTenant, s.app.Resume),
		kit.Handle(s.server, contract.DeleteTenant, s.app.Delete),
		kit.Handle(s.server, contract.RestoreTenant, s.app.Restore),
	)
}

// startLifecycle takes in what other services confirm, and sweeps.
func (s *Service) startLifecycle(ctx context.Context, js jetstream.JetStream) (err error) {
	log := s.deps.Telemetry.Log
	l := &s.lifecycle
	l.due = make(chan struct{}, 1)
	s.app.Due = func() {
		select {
		case l.due <- struct{}{}:
		default:
		}
	}
	l.confirms, err = kit.Consume(ctx, js, s.deps.Telemetry, events.ConsumeConfig{
		Stream: events.EventsStream, Durable: Name + "_lifecycle", Subjects: app.ConfirmedSubjects(),
	}, s.app.Confirmed)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop, l.stopped = stop, make(chan struct{})
	go func() {
		defer close(l.stopped)
		ticker := time.NewTicker(sweepInterval)
		defer ticker.Stop()
		for {
			if err := s.app.Sweep(running); err != nil && running.Err() == nil {
				log.Warn("tenant: not swept; will try again", "error", err)
			}
			select {
			case <-running.Done():
				return
			case <-ticker.C:
			case <-l.due:
			}
		}
	}()
	return nil
}

func (l *lifecycle) end(ctx context.Context) {
	l.confirms.Stop(ctx)
	if l.stop != nil {
		l.stop()
		<-l.stopped
	}
}
