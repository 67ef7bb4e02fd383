// Package outbox publishes committed changes: an event is written in the
// transaction of the change it tells of, and a relay moves it to its stream
// afterwards. Nothing is published that was not committed, and nothing
// committed is lost.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
)

const (
	// backlogCap bounds the backlog: while NATS is away, writes continue until this
	// many events wait, then they are refused as unavailable.
	backlogCap = 100_000
	batch      = 200
	// poll finds events that another replica committed and could not publish.
	poll = time.Second
	// maxHeaders is half of what the bus takes in headers, beside a body of
	// contract.MaxBody: the rest is for those that it, and who reads, add.
	maxHeaders = 32 << 10
)

// Add writes the event into the service's outbox, in the transaction of the
// change. It answers unavailable when the backlog is at its cap, and
// payload_too_large when the bus would not take the event: such a change must
// not be made, for it could not be told.
func Add(ctx context.Context, tx pgx.Tx, e events.Event) error {
	msg, err := events.Encode(e)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if size := msg.Size() - len(msg.Data); size > maxHeaders {
		return tooLarge(size, maxHeaders)
	}
	if len(msg.Data) > contract.MaxBody {
		return tooLarge(len(msg.Data), contract.MaxBody)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	tag, err := tx.Exec(ctx, `INSERT INTO outbox (event) SELECT $1
		WHERE (SELECT coalesce(max(id) - min(id), 0) FROM outbox WHERE id > 0) < $2`, raw, backlogCap)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return contract.Errorf(contract.Unavailable, "the event backlog is full; try again later")
	}
	return nil
}

func tooLarge(size, most int) error {
	return contract.Errorf(contract.PayloadTooLarge,
		"the change is too large to be told in one event (%d of %d bytes); make the change in several", size, most)
}

// Relay moves a service's outbox to JetStream. One relay at a time works for a
// service, whichever replica holds the lock, so order is kept.
type Relay struct {
	db   *database.DB
	js   jetstream.JetStream
	log  *slog.Logger
	wake chan struct{}
	stop context.CancelFunc
	done sync.WaitGroup
	once sync.Once

	sequences sync.Map     // type of event → the stream sequence at which the last one was published
	last      uint64       // the stream sequence of the last event at all
	since     atomic.Int64 // when the oldest waiting event was made, in ns; 0 for none

	published prometheus.Counter
	failures  prometheus.Counter
	waiting   prometheus.Gauge
	aside     prometheus.Gauge
}

// Start begins relaying; Stop ends it.
func Start(db *database.DB, js jetstream.JetStream, service string, log *slog.Logger, metrics prometheus.Registerer) *Relay {
	ctx, cancel := context.WithCancel(context.Background())
	labels := prometheus.Labels{"service": service}
	r := &Relay{
		db: db, js: js, log: log, wake: make(chan struct{}, 1), stop: cancel,
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "buildify_outbox_published_total", Help: "Events moved from the outbox to their stream.", ConstLabels: labels,
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "buildify_outbox_failures_total", Help: "Rounds of the outbox relay that failed.", ConstLabels: labels,
		}),
	}
	r.waiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "buildify_outbox_waiting", Help: "Events that the last round of the relay found waiting; steadily above zero, changes are not told.", ConstLabels: labels,
	})
	r.aside = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "buildify_outbox_set_aside", Help: "Events that the bus did not take for their size; they stay in the outbox, under negative ids.", ConstLabels: labels,
	})
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "buildify_outbox_lag_seconds", Help: "Age of the oldest event that is not in its stream yet.", ConstLabels: labels,
	}, r.lag)
	metrics.MustRegister(r.published, r.failures, r.waiting, r.aside, lag)
	r.done.Go(func() { r.run(ctx) })
	return r
}

// Notify says that a transaction with events has committed. It never blocks.
func (r *Relay) Notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Stop makes one last round, bounded by ctx, and ends the relay. What remains
// is published at the next start. It is idempotent.
func (r *Relay) Stop(ctx context.Context) (err error) {
	r.once.Do(func() {
		r.stop()
		r.done.Wait()
		_, err = r.round(ctx)
	})
	return err
}

func (r *Relay) run(ctx context.Context) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		n, err := r.round(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.failures.Inc()
			r.log.Warn("outbox not relayed; will try again", "error", err)
		case n == batch:
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-ticker.C:
		}
	}
}

// round publishes up to a batch in order and deletes what the stream has
// acknowledged. A crash in between publishes again under the same message id.
// What the bus will never take is set aside. It returns how many events it dealt
// with.
func (r *Relay) round(ctx context.Context) (int, error) {
	n := 0
	err := pgx.BeginFunc(ctx, r.db.Pool, func(tx pgx.Tx) error {
		var aside int
		err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM outbox WHERE id < 0)
			FROM pg_advisory_xact_lock('outbox'::regclass::oid::bigint)`).Scan(&aside)
		if err != nil {
			return err
		}
		waiting, err := read(ctx, tx)
		if err != nil {
			return err
		}
		r.waiting.Set(float64(len(waiting)))
		r.notePending(waiting)
		sent, large, err := r.publish(ctx, waiting)
		if _, deleteErr := tx.Exec(ctx, "DELETE FROM outbox WHERE id = ANY($1)", sent); deleteErr != nil {
			return deleteErr
		}
		if asideErr := setAside(ctx, tx, large); asideErr != nil {
			return asideErr
		}
		n = len(sent) + len(large)
		r.notePending(waiting[n:])
		r.published.Add(float64(len(sent)))
		r.failures.Add(float64(len(large)))
		r.aside.Set(float64(aside + len(large)))
		if n == 0 {
			return err
		}
		return nil
	})
	return n, err
}

// row is an event that waits.
type row struct {
	id    int64
	event events.Event
}

func read(ctx context.Context, tx pgx.Tx) ([]row, error) {
	rows, err := tx.Query(ctx, "SELECT id, event FROM outbox WHERE id > 0 ORDER BY id LIMIT $1", batch)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(from pgx.CollectableRow) (r row, err error) {
		var raw []byte
		if err := from.Scan(&r.id, &raw); err != nil {
			return r, err
		}
		if err := json.Unmarshal(raw, &r.event); err != nil {
			return r, fmt.Errorf("outbox: event %d: %w", r.id, err)
		}
		return r, nil
	})
}

// notePending remembers since when the oldest of the events waits.
func (r *Relay) notePending(waiting []row) {
	since := int64(0)
	if len(waiting) > 0 {
		since = waiting[0].event.Time().UnixNano()
	}
	r.since.Store(since)
}

// lag is for how many seconds the oldest event waits that the last round left.
func (r *Relay) lag() float64 {
	since := r.since.Load()
	if since == 0 {
		return 0
	}
	return max(0, time.Since(time.Unix(0, since)).Seconds())
}

// setAside keeps events, for somebody to look at, where they hold up nobody: they
// get negative ids, which are neither relayed nor part of the backlog.
func setAside(ctx context.Context, tx pgx.Tx, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `WITH moved AS (DELETE FROM outbox WHERE id = ANY($1) RETURNING id, event)
		INSERT INTO outbox (id, event) OVERRIDING SYSTEM VALUE SELECT -id, event FROM moved`, ids)
	return err
}

// publish moves the events to their stream, the first ones of them at least. It
// tells which the stream has and which the bus does not take for their size.
func (r *Relay) publish(ctx context.Context, waiting []row) (sent, large []int64, err error) {
	for err == nil && len(waiting) > 0 {
		var n int
		n, err = r.publishSome(ctx, waiting)
		for _, w := range waiting[:n] {
			sent = append(sent, w.id)
		}
		waiting = waiting[n:]
		if errors.Is(err, nats.ErrMaxPayload) {
			r.log.Error("outbox: the bus does not take an event; it stays, set aside, and nobody is told of it",
				"id", waiting[0].id, "bytes", len(waiting[0].event.Data()), "error", err)
			large, waiting, err = append(large, waiting[0].id), waiting[1:], nil
		}
	}
	return sent, large, err
}

// publishSome publishes the events up to the first one that fails.
func (r *Relay) publishSome(ctx context.Context, waiting []row) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	outgoing := make([]events.Outgoing, len(waiting))
	for i, w := range waiting {
		outgoing[i] = events.Outgoing{Event: w.event, ID: w.event.ID()}
	}
	sequences, err := events.PublishBatch(ctx, r.js, outgoing)
	for i, sequence := range sequences {
		if sequence < r.last { // another stream by now, which does not know the old numbers
			r.sequences.Clear()
		}
		r.last = sequence
		r.sequences.Store(waiting[i].event.Type(), sequence)
	}
	return len(sequences), err
}

// Sequence is the highest stream sequence at which this relay published an
// event of one of the kinds, 0 when it has not.
func (r *Relay) Sequence(kinds ...events.Kind) (highest uint64) {
	for _, kind := range kinds {
		value, _ := r.sequences.Load(kind.Type())
		sequence, _ := value.(uint64)
		highest = max(highest, sequence)
	}
	return highest
}
