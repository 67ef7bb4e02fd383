package kit

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/buildify/core/pkg/events"
)

// Consume is events.Consume, with its failures logged and counted by consumer,
// and each event handled in a span of the trace that it came from.
func Consume(ctx context.Context, js jetstream.JetStream, t *Telemetry, cfg events.ConsumeConfig, handle events.Handler) (*events.Consumer, error) {
	failures := t.consumers.WithLabelValues(cfg.Durable)
	traced := func(ctx context.Context, e events.Event) error {
		ctx, span := t.Tracer.Start(ExtractTrace(ctx), "consume "+e.Type(), trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(attribute.String("consumer", cfg.Durable)))
		defer span.End()
		err := handle(ctx, e)
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		return err
	}
	return events.Consume(ctx, js, cfg, traced, func(err error) {
		failures.Inc()
		t.Log.Warn("an event is not worked off yet, or was taken out", "consumer", cfg.Durable, "error", err)
	})
}

// ExtractTrace makes the trace of the event that ctx handles the one of
// OpenTelemetry.
func ExtractTrace(ctx context.Context) context.Context {
	parent := events.TraceparentFrom(ctx)
	if parent == "" {
		return ctx
	}
	return propagator.Extract(ctx, headerCarrier{events.Traceparent: {parent}})
}
