package webhooks

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	// atOnce bounds the attempts of this process, those to failing addresses take
	// half of that at most.
	atOnce = 256
	// each is how many deliveries of a webhook are taken at a time, which it gets
	// when no more than that many are under way.
	each = 4
	// poll finds what became due, and what another replica took in.
	poll = time.Second
	// sweepEvery and keep are of the log.
	sweepEvery = 10 * time.Minute
	keep       = 30 * 24 * time.Hour
)

// Sender is one replica's share of the sending.
type Sender struct {
	app *App

	mu      sync.Mutex
	busy    map[string]int // attempts under way, by webhook
	failing int            // of those, to failing ones
	total   int

	stop    context.CancelFunc
	cut     context.CancelFunc // ends attempts under way
	working sync.WaitGroup
	loops   sync.WaitGroup
}

// StartSender begins to send what is due.
func (a *App) StartSender() *Sender {
	running, stop := context.WithCancel(context.Background())
	attempts, cut := context.WithCancel(context.Background())
	s := &Sender{app: a, busy: map[string]int{}, stop: stop, cut: cut}
	s.loops.Go(func() { s.run(running, attempts) })
	s.loops.Go(func() { a.keepHouse(running) })
	return s
}

// Stop begins nothing more, lets attempts finish until ctx ends, and cuts them
// short then: those are made again. It is idempotent.
func (s *Sender) Stop(ctx context.Context) {
	if s == nil {
		return
	}
	s.stop()
	s.loops.Wait()
	finished := make(chan struct{})
	go func() {
		s.working.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
	}
	s.cut()
	<-finished
}

func (s *Sender) run(running, attempts context.Context) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		// The failing ones second: they get what is left.
		for _, failing := range []bool{false, true} {
			if running.Err() != nil {
				return
			}
			if err := s.claim(running, attempts, failing); err != nil && running.Err() == nil {
				s.app.Log.Warn("due deliveries not read; will try again", "error", err)
			}
		}
		select {
		case <-running.Done():
			return
		case <-s.app.wake:
		case <-ticker.C:
		}
	}
}

// claim leases what is due, as much as there is room for, and begins to send it.
func (s *Sender) claim(ctx, attempts context.Context, failing bool) error {
	busy, room := s.room(failing)
	if room <= 0 {
		return nil
	}
	var rows []db.ClaimDeliveriesRow
	err := s.app.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		rows, err = db.New(tx).ClaimDeliveries(ctx, db.ClaimDeliveriesParams{
			LeaseSeconds: s.app.Lease.Seconds(), Failing: failing, Busy: busy, Each: each, Most: int32(room),
		})
		return err
	})
	if err != nil {
		return err
	}
	s.begin(rows, failing, 1)
	for _, row := range rows {
		s.working.Go(func() {
			defer func() {
				s.begin([]db.ClaimDeliveriesRow{row}, failing, -1)
				s.app.Notify() // there may be more
			}()
			s.app.deliver(attempts, row)
		})
	}
	return nil
}

// room is how many attempts may begin, and which webhooks have enough of them.
func (s *Sender) room(failing bool) (busy []string, room int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy = []string{}
	for id, n := range s.busy {
		if n > each {
			busy = append(busy, id)
		}
	}
	room = atOnce - s.total
	if failing {
		room = min(room, atOnce/2-s.failing)
	}
	return busy, room
}

// begin counts attempts that begin, or end.
func (s *Sender) begin(rows []db.ClaimDeliveriesRow, failing bool, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		s.total += n
		if failing {
			s.failing += n
		}
		if s.busy[row.WebhookID] += n; s.busy[row.WebhookID] == 0 {
			delete(s.busy, row.WebhookID)
		}
	}
}

// keepHouse measures what is due, and removes what the log does not keep.
func (a *App) keepHouse(ctx context.Context) {
	measure, sweep := time.NewTicker(15*time.Second), time.NewTicker(sweepEvery)
	defer measure.Stop()
	defer sweep.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-measure.C:
			err = a.measure(ctx)
		case <-sweep.C:
			_, err = a.Sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			a.Log.Warn("webhooks: housekeeping failed; will try again", "error", err)
		}
	}
}

func (a *App) measure(ctx context.Context) error {
	return a.DB.Read(ctx, database.Everything, func(tx pgx.Tx) error {
		oldest, err := db.New(tx).OldestDue(ctx)
		a.metrics.oldest.Set(oldest)
		return err
	})
}

// Sweep removes deliveries that the log does not keep, those of deleted
// webhooks, and secrets whose overlap is over; it returns how many deliveries.
func (a *App) Sweep(ctx context.Context) (gone int64, err error) {
	for _, part := range []func(*db.Queries) (int64, error){
		func(q *db.Queries) (int64, error) { return q.SweepDeliveries(ctx, keep.Seconds()) },
		func(q *db.Queries) (int64, error) { return q.SweepOrphans(ctx) },
		func(q *db.Queries) (int64, error) { return 0, q.ForgetOldSecrets(ctx) },
	} {
		n, err := a.inParts(ctx, part)
		gone += n
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// inParts repeats a part, each time in a transaction of its own, until there is
// no more of it.
func (a *App) inParts(ctx context.Context, part func(*db.Queries) (int64, error)) (total int64, err error) {
	for n := int64(1); n > 0 && err == nil; total += n {
		err = a.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			n, err = part(db.New(tx))
			return err
		})
	}
	return total, err
}

// Erase removes a tenant's webhooks, and what was sent of its events to others.
func (a *App) Erase(ctx context.Context, tenant string) error {
	err := a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error { return db.New(tx).EraseWebhooks(ctx, tenant) })
	if err != nil {
		return err
	}
	_, err = a.inParts(ctx, func(q *db.Queries) (int64, error) { return q.EraseDeliveries(ctx, tenant) })
	return err
}
