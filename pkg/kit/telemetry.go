package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry is a process's logs, metrics and traces.
type Telemetry struct {
	Log     *slog.Logger
	Metrics *prometheus.Registry
	Tracer  trace.Tracer

	operations *operationMetrics
	consumers  *prometheus.CounterVec
	calls      *prometheus.CounterVec
	shutdown   func(context.Context) error
}

// TelemetryConfig says what a process tells of itself.
type TelemetryConfig struct {
	// Process is the process's name in traces.
	Process string
	// LogWriter receives JSON lines; nil discards them.
	LogWriter io.Writer
	LogLevel  slog.Level
	// TraceSample is the share of traces begun here that are recorded, 0 to 1.
	// A caller's decision is followed.
	TraceSample float64
}

// NewTelemetry sets up logs and metrics, and traces that go to the OTLP
// endpoint of the standard OTEL_EXPORTER_OTLP_* variables when one is set.
func NewTelemetry(ctx context.Context, cfg TelemetryConfig) (*Telemetry, error) {
	t := &Telemetry{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()}
	if cfg.LogWriter != nil {
		t.Log = slog.New(slog.NewJSONHandler(cfg.LogWriter, &slog.HandlerOptions{Level: cfg.LogLevel}))
	}
	if err := errors.Join(
		t.Metrics.Register(collectors.NewGoCollector()),
		t.Metrics.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	t.operations = newOperationMetrics(t.Metrics)
	t.consumers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "buildify_consumer_failures_total", Help: "Failures to work off an event, which comes again, by durable consumer.",
	}, []string{"consumer"})
	t.calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "buildify_call_records_total", Help: "Records of calls, by service and fate; dropped ones are lost to the audit trail.",
	}, []string{"service", "fate"})
	t.Metrics.MustRegister(t.consumers, t.calls)
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.TraceSample))),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName(cfg.Process))),
	}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("trace exporter: %w", err)
		}
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	provider := sdktrace.NewTracerProvider(options...)
	t.Tracer = provider.Tracer("github.com/buildify/core")
	t.shutdown = provider.Shutdown
	return t, nil
}

// Stop flushes what is still to be exported.
func (t *Telemetry) Stop(ctx context.Context) error { return t.shutdown(ctx) }

// LogPanic logs a recovered panic with its stack under a request id.
func (t *Telemetry) LogPanic(where, requestID string, recovered any) {
	t.Log.Error("panic", "where", where, "request_id", requestID, "panic", fmt.Sprint(recovered), "stack", string(debug.Stack()))
}

var propagator = propagation.TraceContext{}

// headerCarrier lets the propagator read and write the header maps of both
// NATS and net/http by the lower-case names of W3C Trace Context.
type headerCarrier map[string][]string

func (h headerCarrier) Get(key string) string {
	if values := h[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func (h headerCarrier) Set(key, value string) { h[key] = []string{value} }

func (h headerCarrier) Keys() []string {
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	return keys
}

type operationMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inflight prometheus.Gauge
}

func newOperationMetrics(r prometheus.Registerer) *operationMetrics {
	m := &operationMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "buildify_operation_requests_total",
			Help: "Requests answered, by operation and error code (ok for none).",
		}, []string{"operation", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "buildify_operation_duration_seconds",
			Help:    "Time from receiving a request to answering it.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"operation"}),
		inflight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "buildify_operation_inflight",
			Help: "Requests being worked on outside the subscription callbacks.",
		}),
	}
	r.MustRegister(m.requests, m.duration, m.inflight)
	return m
}
