package kit

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/events"
)

// Consume is events.Consume, with its failures logged and counted by consumer.
func Consume(ctx context.Context, js jetstream.JetStream, t *Telemetry, cfg events.ConsumeConfig,
	handle func(context.Context, events.Event) error,
) (*events.Consumer, error) {
	failures := t.consumers.WithLabelValues(cfg.Durable)
	return events.Consume(ctx, js, cfg, handle, func(err error) {
		failures.Inc()
		t.Log.Warn("an event is not worked off yet; it comes again", "consumer", cfg.Durable, "error", err)
	})
}
