package natstransport

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// finishTime is what handlers have left when a subscription ends.
const finishTime = 10 * time.Second

// Consume implements sdk.Consumer.
func (t *Transport) Consume(ctx context.Context, cfg events.ConsumeConfig, handle events.Handler, onError func(error)) error {
	js, err := jetstream.NewWithAPIPrefix(t.nats, contract.BusAPI)
	if err != nil {
		return fault.Unreadable(contract.Subscribe.Spec, "%v", err)
	}
	consumer, err := events.Consume(ctx, js, cfg, handle, onError)
	if err != nil {
		var known *contract.Error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &known):
			return err
		}
		return fault.Unreachable(contract.Subscribe.Spec, err)
	}
	defer func() {
		finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
		defer cancel()
		consumer.Stop(finishing)
	}()
	closed := t.nats.StatusChanged(nats.CLOSED)
	defer t.nats.RemoveStatusListener(closed)
	if t.nats.IsClosed() {
		return fault.Closed(contract.Subscribe.Spec)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return fault.Closed(contract.Subscribe.Spec)
	}
}
