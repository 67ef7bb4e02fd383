package ingest

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	// batchBytes bounds a batch; the bus cuts off a reader that is further
	// behind than max_pending.
	batchBytes = 2 << 20
	unacked    = 4000
	ackWait    = 10 * time.Second      // after a kill, what was fetched is delivered again this late
	linger     = 20 * time.Millisecond // how long a batch may wait for company
	idle       = 5 * time.Second
	tryAgain   = time.Second
)

// reader moves the messages of one stream.
type reader struct {
	db       *database.DB
	log      *slog.Logger
	consumer jetstream.Consumer
	stream   string
	// read makes a record of a message; its error makes the message poison.
	read func(jetstream.Msg) (db.AuditEvent, error)

	stored, poison prometheus.Counter
	lag            prometheus.Gauge
}

// watch keeps the lag: what is still to be delivered, and what was delivered
// and is not acknowledged.
func (r *reader) watch(ctx context.Context) {
	ticker := time.NewTicker(idle)
	defer ticker.Stop()
	for {
		if info, err := r.consumer.Info(ctx); err == nil {
			r.lag.Set(float64(info.NumPending) + float64(info.NumAckPending))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		messages, err := r.fetch(ctx)
		if err == nil && len(messages) > 0 {
			// Not cut short by Stop: what was fetched is finished.
			err = r.ingest(context.WithoutCancel(ctx), messages)
			if refused(err) {
				err = r.ingestSingly(context.WithoutCancel(ctx), messages)
			}
		}
		if err != nil && ctx.Err() == nil {
			r.log.Warn("audit events not stored; will try again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(tryAgain):
			}
		}
	}
}

// refused reports whether the database finds fault with the data, rather than
// being out of order itself: classes 22, data exception, 23, integrity, and
// 54, program limit exceeded.
func refused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23") || strings.HasPrefix(pg.Code, "54"))
}

// fetch waits for a first message and then takes what is there or arrives
// within linger.
func (r *reader) fetch(ctx context.Context) ([]jetstream.Msg, error) {
	waiting, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	first, err := r.consumer.Fetch(1, jetstream.FetchContext(waiting))
	if err != nil {
		return nil, err
	}
	messages := collect(first)
	if len(messages) == 0 {
		return nil, ignoreTimeout(first.Error())
	}
	more, err := r.consumer.FetchBytes(batchBytes, jetstream.FetchMaxWait(linger))
	if err != nil {
		return nil, err
	}
	messages = append(messages, collect(more)...)
	return messages, ignoreTimeout(more.Error())
}

func collect(b jetstream.MessageBatch) []jetstream.Msg {
	var messages []jetstream.Msg
	for msg := range b.Messages() {
		messages = append(messages, msg)
	}
	return messages
}

func ignoreTimeout(err error) error {
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// ingest stores a batch and acknowledges it.
func (r *reader) ingest(ctx context.Context, messages []jetstream.Msg) error {
	var rows []db.AuditEvent
	var bad []db.StorePoisonParams
	for _, msg := range messages {
		row, err := r.read(msg)
		if err != nil {
			bad = append(bad, r.poisonOf(msg, err))
			continue
		}
		rows = append(rows, row)
	}
	return r.store(ctx, messages, rows, bad)
}

// ingestSingly keeps one message that the database refuses from holding up
// the rest of its batch: it alone becomes poison.
func (r *reader) ingestSingly(ctx context.Context, messages []jetstream.Msg) error {
	for _, msg := range messages {
		err := r.ingest(ctx, []jetstream.Msg{msg})
		if refused(err) {
			r.log.Error("audit event refused by the database: kept as dead letter", "subject", msg.Subject(), "error", err)
			err = r.store(ctx, []jetstream.Msg{msg}, nil, []db.StorePoisonParams{r.poisonOf(msg, err)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// store stores what was read of messages in one transaction, and acknowledges
// them.
func (r *reader) store(ctx context.Context, messages []jetstream.Msg, rows []db.AuditEvent, bad []db.StorePoisonParams) error {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	stored := 0
	err := r.db.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		for _, p := range bad {
			if err := q.StorePoison(ctx, p); err != nil {
				return err
			}
		}
		stored, err = place(ctx, q, r.stream, rows)
		return err
	})
	if err != nil {
		return err
	}
	r.stored.Add(float64(stored))
	r.poison.Add(float64(len(bad)))
	for _, msg := range messages {
		if err := msg.Ack(); err != nil {
			return err // delivered again, and known then
		}
	}
	return nil
}
