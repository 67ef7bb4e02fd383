package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

const (
	// workers of one replica send beside each other.
	workers = 2
	// poll finds what another replica could not send.
	poll = 5 * time.Second
	// lease is how long a message is one worker's: longer than a delivery takes.
	// Of a worker that dies another takes it over then, so a message may come
	// twice.
	lease = sendTime + 30*time.Second
	// fresh is how long after Add its transaction has committed.
	fresh = 30 * time.Second
	// giveUp is how old a message is that nobody waits for any more.
	giveUp = 24 * time.Hour
)

// Box seals what links open; implementations are safe for concurrent use.
type Box interface {
	Seal(name string, plain []byte) []byte
	Unseal(name string, sealed []byte) ([]byte, error)
}

// sealedName binds sealed messages to what they are.
const sealedName = "mail"

// Queue keeps messages in the database until they are sent: an answer never
// waits for a mail server, and what was committed is sent even if the process
// dies. Replicas work on it beside each other. It is safe for concurrent use.
//
//	NewQueue ──▶ takes messages ── Start ──▶ sends them too ── Stop ──▶ stopped
type Queue struct {
	db     *database.DB
	box    Box
	sender Sender
	log    *slog.Logger
	wake   chan struct{}
	stop   context.CancelFunc
	work   sync.WaitGroup
	added  atomic.Int64 // when Add was called last, in nanoseconds

	sent, failures, lost prometheus.Counter
	waiting              prometheus.Gauge
}

// NewQueue returns a Queue that does not send yet.
func NewQueue(db *database.DB, box Box, sender Sender, log *slog.Logger, metrics prometheus.Registerer) *Queue {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	q := &Queue{
		db: db, box: box, sender: sender, log: log, wake: make(chan struct{}, workers), stop: func() {},
		sent:     counter("buildify_mails_sent_total", "E-mails handed to the mail server."),
		failures: counter("buildify_mail_failures_total", "Attempts to send an e-mail that failed; they are made again."),
		lost:     counter("buildify_mails_lost_total", "E-mails given up: refused, or not sent within a day."),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "buildify_mails_waiting", Help: "E-mails that wait to be sent, over all replicas; steadily above zero, the mail server is away.",
		}),
	}
	metrics.MustRegister(q.sent, q.failures, q.lost, q.waiting)
	return q
}

// Add puts a message into the queue, in the transaction of q's. It is sent
// once that is committed; Notify makes that soon.
func (q *Queue) Add(ctx context.Context, tx *db.Queries, m Message) error {
	if err := m.clean(); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	plain, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	q.added.Store(time.Now().UnixNano())
	return tx.AddMail(ctx, q.box.Seal(sealedName, plain))
}

// Notify says that a transaction has committed, which may have held a message.
// It never blocks, and costs nothing while there is none.
func (q *Queue) Notify() {
	if time.Since(time.Unix(0, q.added.Load())) > fresh {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Start begins to send. It is to be called once.
func (q *Queue) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	q.stop = cancel
	for range workers {
		q.work.Go(func() { q.run(ctx) })
	}
}

// Stop ends the sending; what is being sent is cut off and sent at the next
// start. It is idempotent, also without Start.
func (q *Queue) Stop() {
	if q != nil {
		q.stop()
		q.work.Wait()
	}
}

func (q *Queue) run(ctx context.Context) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		found, err := q.sendOne(ctx)
		if err != nil && ctx.Err() == nil {
			q.log.Warn("mail queue not read; will try again", "error", err)
		}
		if found && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-ticker.C:
		}
	}
}

// sendOne sends the message that is due the longest, if any is.
func (q *Queue) sendOne(ctx context.Context) (found bool, err error) {
	queries := db.New(q.db.Pool)
	mail, err := queries.TakeMail(ctx, lease.Seconds())
	if database.Missing(err) {
		return false, q.count(ctx, queries)
	}
	if err != nil {
		return false, err
	}
	failure := q.send(ctx, mail)
	if ctx.Err() != nil && failure != nil { // cut off: the lease ends soon enough
		return true, nil
	}
	// What was sent is struck off though the queue is stopped.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	switch log := q.log.With("mail", mail.ID, "attempts", mail.Attempts); {
	case failure == nil:
		q.sent.Inc()
		return true, queries.RemoveMail(ctx, mail.ID)
	case errors.Is(failure, ErrRefused) || time.Since(mail.CreatedAt) > giveUp:
		q.lost.Inc()
		log.Error("e-mail not sent; given up", "error", failure)
		return true, queries.RemoveMail(ctx, mail.ID)
	default:
		q.failures.Inc()
		wait := backOff(mail.Attempts)
		log.Warn("e-mail not sent; will try again", "error", failure, "in", wait.String())
		return true, queries.PostponeMail(ctx, db.PostponeMailParams{ID: mail.ID, Attempts: mail.Attempts, Wait: wait.Seconds()})
	}
}

func (q *Queue) send(ctx context.Context, mail db.AuthMail) error {
	plain, err := q.box.Unseal(sealedName, mail.Sealed)
	if err != nil {
		return errors.Join(ErrRefused, err)
	}
	var m Message
	if err := json.Unmarshal(plain, &m); err != nil {
		return errors.Join(ErrRefused, err)
	}
	return q.sender.Send(ctx, m)
}

func (q *Queue) count(ctx context.Context, queries *db.Queries) error {
	n, err := queries.CountMails(ctx)
	if err == nil {
		q.waiting.Set(float64(n))
	}
	return err
}

// backOff is how long to wait after so many attempts: 5 s, twice as long each
// time, an hour at most.
func backOff(attempts int32) time.Duration {
	const first, longest = 5 * time.Second, time.Hour
	if attempts > 10 { // the shift must not overflow
		return longest
	}
	return min(first<<max(attempts-1, 0), longest)
}
