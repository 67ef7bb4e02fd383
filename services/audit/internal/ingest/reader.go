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
	unacked    = 16000
	ackWait    = 10 * time.Second      // after a kill, what was fetched is delivered again this late
	linger     = 20 * time.Millisecond // how long a batch may wait for company
	few        = 12                    // messages of any size that max_pending has room for
	// behind is from how many waiting messages on a batch is given time to fill.
	behind   = 1000
	filling  = 100 * time.Millisecond
	idle     = 5 * time.Second
	tryAgain = time.Second
)

// reader moves the messages of one stream.
type reader struct {
	db       *database.DB
	log      *slog.Logger
	consumer jetstream.Consumer
	stream   string
	// read makes a record of a message; its error makes the message poison.
	read func(jetstream.Msg) (row, error)
	seal Seal
	// committed may be nil.
	committed func(grown map[string]int64)

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

// batch is what was fetched together, as it was read.
type batch struct {
	messages []jetstream.Msg
	rows     []row
	bad      []db.StorePoisonParams
}

// run stores batch after batch; while one is stored, the next one is fetched and
// read. Stop cuts none of them short: what was fetched is finished.
func (r *reader) run(ctx context.Context) {
	batches := make(chan batch)
	go func() {
		defer close(batches)
		for ctx.Err() == nil {
			messages, err := r.fetch(ctx)
			if err == nil && len(messages) > 0 {
				var b batch
				if b, err = r.readAll(context.WithoutCancel(ctx), messages); err == nil {
					batches <- b
				}
			}
			if err != nil {
				r.pause(ctx, err)
			}
		}
	}()
	storing := context.WithoutCancel(ctx)
	for b := range batches {
		err := r.store(storing, b)
		if refused(err) {
			err = r.ingestSingly(storing, b.messages)
		}
		if err != nil {
			r.pause(ctx, err) // what is not acknowledged comes again
		}
	}
}

// pause waits before the next try.
func (r *reader) pause(ctx context.Context, because error) {
	if ctx.Err() != nil {
		return
	}
	r.log.Warn("audit events not stored; will try again", "error", because)
	select {
	case <-ctx.Done():
	case <-time.After(tryAgain):
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
	more, err := r.company(messages[0])
	if err != nil {
		return nil, err
	}
	messages = append(messages, collect(more)...)
	return messages, ignoreTimeout(more.Error())
}

// company is what is there or arrives with a first message. FetchBytes makes room
// for a million messages each time, so it is only for when there are some.
func (r *reader) company(first jetstream.Msg) (jetstream.MessageBatch, error) {
	meta, err := first.Metadata()
	switch {
	case err == nil && meta.NumPending == 0:
		return r.consumer.Fetch(few, jetstream.FetchMaxWait(linger))
	case err == nil && meta.NumPending >= behind:
		return r.consumer.FetchBytes(batchBytes, jetstream.FetchMaxWait(filling))
	}
	return r.consumer.FetchBytes(batchBytes, jetstream.FetchMaxWait(linger))
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

// readAll makes records of messages, and poison of those that cannot be. What is
// personal in them is sealed here, where no trail is locked.
func (r *reader) readAll(ctx context.Context, messages []jetstream.Msg) (batch, error) {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	b := batch{messages: messages, rows: make([]row, 0, len(messages))}
	for _, msg := range messages {
		row, err := r.read(msg)
		if err != nil {
			b.bad = append(b.bad, r.poisonOf(msg, err))
			continue
		}
		if err := r.sealed(ctx, &row); err != nil {
			return b, err
		}
		b.rows = append(b.rows, row)
	}
	return b, nil
}

func (r *reader) sealed(ctx context.Context, one *row) error {
	if r.seal == nil {
		return nil
	}
	return r.seal(ctx, db.New(r.db), &one.AuditEvent, &one.entry)
}

// ingest stores what messages say, and acknowledges them.
func (r *reader) ingest(ctx context.Context, messages []jetstream.Msg) error {
	b, err := r.readAll(ctx, messages)
	if err != nil {
		return err
	}
	return r.store(ctx, b)
}

// ingestSingly keeps one message that the database refuses from holding up
// the rest of its batch: it alone becomes poison.
func (r *reader) ingestSingly(ctx context.Context, messages []jetstream.Msg) error {
	for _, msg := range messages {
		err := r.ingest(ctx, []jetstream.Msg{msg})
		if refused(err) {
			r.log.Error("audit event refused by the database: kept as dead letter", "subject", msg.Subject(), "error", err)
			err = r.store(ctx, batch{messages: []jetstream.Msg{msg}, bad: []db.StorePoisonParams{r.poisonOf(msg, err)}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// store stores a batch in one transaction, and acknowledges it.
func (r *reader) store(ctx context.Context, b batch) error {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	stored := 0
	err := r.db.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		for _, p := range b.bad {
			if err := q.StorePoison(ctx, p); err != nil {
				return err
			}
		}
		stored, err = r.place(ctx, q, b.rows)
		return err
	})
	if err != nil {
		return err
	}
	if r.committed != nil && stored > 0 {
		r.committed(grown(b.rows))
	}
	r.stored.Add(float64(stored))
	r.poison.Add(float64(len(b.bad)))
	for _, msg := range b.messages {
		if err := msg.Ack(); err != nil {
			return err // delivered again, and known then
		}
	}
	return nil
}

// grown is how far the trails of the rows go that have been placed.
func grown(rows []row) map[string]int64 {
	last := map[string]int64{}
	for i := range rows {
		if seq := rows[i].TenantSeq; seq > last[rows[i].TenantID] {
			last[rows[i].TenantID] = seq
		}
	}
	return last
}
