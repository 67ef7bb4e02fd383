// Package ingest moves what happened from the streams into PostgreSQL: what
// modules log, from AUDIT, and the domain events of the services, from EVENTS.
// Each becomes one record exactly once in effect: in one transaction a batch
// gets its places in the tenants' trails and is stored, and only then is it
// acknowledged. A batch that is delivered again finds itself known.
package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// durable is the consumer that ingest has on each stream.
const durable = "audit_ingest"

// sources are the streams and how a message of each is read.
var sources = []struct {
	stream string
	read   func(jetstream.Msg) (row, error)
}{
	{events.AuditStream, readLogged},
	{events.EventsStream, readDomain},
}

// Seal makes what is personal of a record unreadable for who has no key, before
// the record has its place: in its entry's data, and in its columns.
type Seal func(ctx context.Context, q *db.Queries, e *db.AuditEvent, entry *trail.Entry) error

// Config is what ingest needs.
type Config struct {
	DB        *database.DB
	JetStream jetstream.JetStream
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	// Seal may be nil: nothing is personal then.
	Seal Seal
	// Committed hears of trails that have grown, by tenant up to which sequence. It
	// must not block, and may be nil.
	Committed func(grown map[string]int64)
}

// Ingester is one replica's share of the work: replicas split the streams.
type Ingester struct {
	cfg     Config
	readers []*reader
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// Start takes over what was recorded before there were entries, finds or makes
// the durable consumers, and begins. The streams exist.
func Start(ctx context.Context, cfg Config) (*Ingester, error) {
	i := &Ingester{cfg: cfg}
	if err := EnsureMonths(ctx, cfg.DB, time.Now()); err != nil {
		return nil, fmt.Errorf("audit partitions: %w", err)
	}
	if err := i.takeOver(ctx); err != nil {
		return nil, err
	}
	byStream := []string{"stream"}
	stored := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "buildify_audit_stored_total", Help: "Events stored in the audit trail.",
	}, byStream)
	poison := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "buildify_audit_dead_letter_total", Help: "Messages that were no event and are kept as dead letters.",
	}, byStream)
	lag := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "buildify_audit_lag_messages", Help: "Events in the stream that are not in the audit trail yet.",
	}, byStream)
	for _, source := range sources {
		consumer, err := cfg.JetStream.CreateOrUpdateConsumer(ctx, source.stream, jetstream.ConsumerConfig{
			Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: unacked,
		})
		if err != nil {
			return nil, fmt.Errorf("audit ingest of %s: %w", source.stream, err)
		}
		i.readers = append(i.readers, &reader{
			db: cfg.DB, log: cfg.Log.With("stream", source.stream), consumer: consumer, stream: source.stream, read: source.read, seal: cfg.Seal, committed: cfg.Committed,
			stored: stored.WithLabelValues(source.stream), poison: poison.WithLabelValues(source.stream),
			lag: lag.WithLabelValues(source.stream),
		})
	}
	cfg.Metrics.MustRegister(stored, poison, lag)
	working, cancel := context.WithCancel(context.Background())
	i.cancel = cancel
	for _, r := range i.readers {
		i.done.Go(func() { r.run(working) })
		i.done.Go(func() { r.watch(working) })
	}
	return i, nil
}

// Stop finishes the batches in work and ends. It is idempotent.
func (i *Ingester) Stop() {
	i.cancel()
	i.done.Wait()
}
