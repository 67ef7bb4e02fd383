// Package ingest moves audit events from their stream into PostgreSQL, each
// exactly once in effect: in one transaction a batch gets its places in the
// tenants' trails and is stored, and only then is it acknowledged. A batch
// that is delivered again finds itself known.
package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	durable = "audit_ingest"
	// batchBytes bounds a batch; the bus cuts off a reader that is further
	// behind than max_pending.
	batchBytes = 2 << 20
	unacked    = 4000
	ackWait    = 10 * time.Second      // after a kill, what was fetched is delivered again this late
	linger     = 20 * time.Millisecond // how long a batch may wait for company
	idle       = 5 * time.Second
	tryAgain   = time.Second
)

// Ingester is one replica's share of the work: replicas split the stream.
type Ingester struct {
	db       *database.DB
	log      *slog.Logger
	consumer jetstream.Consumer
	cancel   context.CancelFunc
	done     sync.WaitGroup

	stored, poison prometheus.Counter
	lag            prometheus.Gauge
}

// Start finds or makes the durable consumer and begins.
func Start(ctx context.Context, d *database.DB, js jetstream.JetStream, log *slog.Logger, metrics prometheus.Registerer) (*Ingester, error) {
	consumer, err := js.CreateOrUpdateConsumer(ctx, events.AuditStream, jetstream.ConsumerConfig{
		Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: unacked,
	})
	if err != nil {
		return nil, fmt.Errorf("audit ingest: %w", err)
	}
	working, cancel := context.WithCancel(context.Background())
	i := &Ingester{
		db: d, log: log, consumer: consumer, cancel: cancel,
		stored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "buildify_audit_stored_total", Help: "Audit events stored in the trail.",
		}),
		poison: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "buildify_audit_dead_letter_total", Help: "Messages of the audit stream that were no audit event.",
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "buildify_audit_lag_messages", Help: "Audit events in the stream that are not stored yet.",
		}),
	}
	metrics.MustRegister(i.stored, i.poison, i.lag)
	i.done.Go(func() { i.run(working) })
	i.done.Go(func() { i.watch(working) })
	return i, nil
}

// Stop finishes the batch in work and ends. It is idempotent.
func (i *Ingester) Stop() {
	i.cancel()
	i.done.Wait()
}

// watch keeps the lag: what is still to be delivered, and what was delivered
// and is not acknowledged.
func (i *Ingester) watch(ctx context.Context) {
	ticker := time.NewTicker(idle)
	defer ticker.Stop()
	for {
		if info, err := i.consumer.Info(ctx); err == nil {
			i.lag.Set(float64(info.NumPending) + float64(info.NumAckPending))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (i *Ingester) run(ctx context.Context) {
	for ctx.Err() == nil {
		messages, err := i.fetch(ctx)
		if err == nil && len(messages) > 0 {
			// Not cut short by Stop: what was fetched is finished.
			err = i.ingest(context.WithoutCancel(ctx), messages)
			if refused(err) {
				err = i.ingestSingly(context.WithoutCancel(ctx), messages)
			}
		}
		if err != nil && ctx.Err() == nil {
			i.log.Warn("audit events not stored; will try again", "error", err)
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

// ingestSingly keeps one message that the database refuses from holding up
// the rest of its batch: it alone becomes poison.
func (i *Ingester) ingestSingly(ctx context.Context, messages []jetstream.Msg) error {
	for _, msg := range messages {
		err := i.ingest(ctx, []jetstream.Msg{msg})
		if refused(err) {
			i.log.Error("audit event refused by the database: kept as dead letter", "subject", msg.Subject(), "error", err)
			err = i.store(ctx, []jetstream.Msg{msg}, nil, []db.StorePoisonParams{poisonOf(msg, err)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch waits for a first message and then takes what is there or arrives
// within linger.
func (i *Ingester) fetch(ctx context.Context) ([]jetstream.Msg, error) {
	waiting, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	first, err := i.consumer.Fetch(1, jetstream.FetchContext(waiting))
	if err != nil {
		return nil, err
	}
	messages := collect(first)
	if len(messages) == 0 {
		return nil, ignoreTimeout(first.Error())
	}
	more, err := i.consumer.FetchBytes(batchBytes, jetstream.FetchMaxWait(linger))
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
func (i *Ingester) ingest(ctx context.Context, messages []jetstream.Msg) error {
	var rows []db.AuditEvent
	var bad []db.StorePoisonParams
	for _, msg := range messages {
		row, err := read(msg)
		if err != nil {
			bad = append(bad, poisonOf(msg, err))
			continue
		}
		rows = append(rows, row)
	}
	return i.store(ctx, messages, rows, bad)
}

// store stores what was read of messages in one transaction, and acknowledges
// them.
func (i *Ingester) store(ctx context.Context, messages []jetstream.Msg, rows []db.AuditEvent, bad []db.StorePoisonParams) error {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	stored := 0
	err := i.db.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		for _, p := range bad {
			if err := q.StorePoison(ctx, p); err != nil {
				return err
			}
		}
		stored, err = place(ctx, q, rows)
		return err
	})
	if err != nil {
		return err
	}
	i.stored.Add(float64(stored))
	i.poison.Add(float64(len(bad)))
	for _, msg := range messages {
		if err := msg.Ack(); err != nil {
			return err // delivered again, and known then
		}
	}
	return nil
}

// read takes an audit event out of a message. Its tenant and its message id
// are what only the ingress could have put there.
func read(msg jetstream.Msg) (db.AuditEvent, error) {
	e, err := events.Decode(msg.Headers(), msg.Data())
	if err != nil {
		return db.AuditEvent{}, err
	}
	var data record.Data
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		return db.AuditEvent{}, err
	}
	ids := [3]string{e.ID(), events.Extension(e, events.TenantID), data.UserID}
	for i, id := range ids {
		parsed, err := uuid.Parse(id)
		if err != nil {
			return db.AuditEvent{}, err
		}
		ids[i] = parsed.String() // as the database gives them back
	}
	id, tenant, user := ids[0], ids[1], ids[2]
	if e.Type() != record.Type {
		return db.AuditEvent{}, fmt.Errorf("type %s is not an audit event", e.Type())
	}
	return db.AuditEvent{
		TenantID: tenant, ID: id, MessageID: events.MessageID(tenant, data.Source, id, e.Data()),
		OccurredAt: e.Time(), UserID: user, Source: data.Source, Action: data.Action,
		ResourceType: data.ResourceType, ResourceID: data.ResourceID, RequestID: data.RequestID, Received: e.Data(),
	}, nil
}

func poisonOf(msg jetstream.Msg, reason error) db.StorePoisonParams {
	headers, _ := json.Marshal(msg.Headers())                               // a map of strings
	headers = bytes.ReplaceAll(headers, []byte(`\u0000`), []byte(`\ufffd`)) // which jsonb refuses
	p := db.StorePoisonParams{Subject: storable(msg.Subject()), Headers: headers, Data: msg.Data(), Reason: storable(reason.Error())}
	if meta, err := msg.Metadata(); err == nil {
		p.StreamSeq = int64(meta.Sequence.Stream)
	}
	return p
}

// storable replaces what PostgreSQL's text cannot hold.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// place gives the rows that are new their places in the trails, without gaps,
// and stores them. The heads' locks keep replicas apart, tenant by tenant.
func place(ctx context.Context, q *db.Queries, rows []db.AuditEvent) (int, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	var tenants, ids []string
	for _, row := range rows {
		tenants = append(tenants, row.TenantID)
		ids = append(ids, row.MessageID)
	}
	slices.Sort(tenants)
	heads, err := q.Heads(ctx, slices.Compact(tenants))
	if err != nil {
		return 0, err
	}
	last := make(map[string]int64, len(heads))
	for _, head := range heads {
		last[head.TenantID] = head.LastSeq
	}
	known, err := q.Known(ctx, ids)
	if err != nil {
		return 0, err
	}
	seen := make(map[string]bool, len(known))
	for _, id := range known {
		seen[id] = true
	}
	var p db.StoreEventsParams
	for _, row := range rows {
		if seen[row.MessageID] {
			continue
		}
		seen[row.MessageID] = true
		last[row.TenantID]++
		row.TenantSeq = last[row.TenantID]
		add(&p, row)
	}
	if err := q.StoreEvents(ctx, p); err != nil {
		return 0, err
	}
	var advance db.AdvanceHeadsParams
	for tenant, seq := range last {
		advance.TenantIds, advance.LastSeqs = append(advance.TenantIds, tenant), append(advance.LastSeqs, seq)
	}
	return len(p.Ids), q.AdvanceHeads(ctx, advance)
}

func add(p *db.StoreEventsParams, row db.AuditEvent) {
	p.TenantIds = append(p.TenantIds, row.TenantID)
	p.TenantSeqs = append(p.TenantSeqs, row.TenantSeq)
	p.Ids = append(p.Ids, row.ID)
	p.MessageIds = append(p.MessageIds, row.MessageID)
	p.OccurredAts = append(p.OccurredAts, row.OccurredAt)
	p.UserIds = append(p.UserIds, row.UserID)
	p.Sources = append(p.Sources, row.Source)
	p.Actions = append(p.Actions, row.Action)
	p.ResourceTypes = append(p.ResourceTypes, row.ResourceType)
	p.ResourceIds = append(p.ResourceIds, row.ResourceID)
	p.RequestIds = append(p.RequestIds, row.RequestID)
	p.Received = append(p.Received, row.Received)
}
