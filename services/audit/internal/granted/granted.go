// Package granted gives modules the events that they may hear: copies in stream
// GRANTED, from where each reads its own.
package granted

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	atOnce   = 250                  // events that are given together
	linger   = time.Millisecond     // how long an event waits for company
	patience = 10 * time.Second     // for the database, the bus and the directory
	tryAgain = time.Second          // after a failure
	lookUp   = 5 * time.Second      // how often the lag is looked at
	catchUp  = 5 * time.Millisecond // how often the directory is asked where it is
)

// Directory is what the package asks of directory.Directory.
type Directory interface {
	Activations(tenant string) []contract.Activation
	// Seen is the place in EVENTS up to which it knows all.
	Seen() uint64
}

// Config is what an App needs. Directory and Grants are of one projection.
type Config struct {
	DB        *database.DB
	JetStream jetstream.JetStream
	Directory Directory
	// Grants tell what a module may hear now, as webhooks.Consents do.
	Grants interface {
		Hears(module, tenant, eventType string) bool
	}
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// App gives modules their events, and makes their subscriptions.
type App struct {
	Config
	copies, taken prometheus.Counter
	lag           prometheus.Gauge
	stop          context.CancelFunc
	done          sync.WaitGroup
}

// Start goes on where the replicas were, at first with what comes. Streams EVENTS
// and GRANTED exist.
func Start(ctx context.Context, cfg Config) (*App, error) {
	a := &App{
		Config: cfg,
		copies: prometheus.NewCounter(prometheus.CounterOpts{Name: "buildify_granted_copies_total", Help: "Events given to modules: copies in stream GRANTED."}),
		taken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "buildify_granted_taken_back_total", Help: "Subjects of stream GRANTED that were emptied, for the module may not hear them any more.",
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{Name: "buildify_granted_lag_messages", Help: "Events in the stream that modules were not given yet."}),
	}
	cfg.Metrics.MustRegister(a.copies, a.taken, a.lag)
	if _, err := a.place(ctx); err != nil {
		return nil, fmt.Errorf("granted: %w", err)
	}
	working, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.done.Go(func() { a.run(working) })
	a.done.Go(func() { a.watch(working) })
	return a, nil
}

// Stop finishes the events in work and ends. It is idempotent.
func (a *App) Stop() {
	if a == nil {
		return
	}
	a.stop()
	a.done.Wait()
}

// place is the event up to which modules were given theirs. A stream that ends
// before it is another one: the bus lost its data.
func (a *App) place(ctx context.Context) (place uint64, err error) {
	last, err := a.last(ctx)
	if err != nil {
		return 0, err
	}
	err = a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := q.BeginGranted(ctx, int64(last)); err != nil {
			return err
		}
		kept, err := q.Granted(ctx)
		if err != nil {
			return err
		}
		place = uint64(kept)
		// Asked while nobody moves the place on.
		if last, err = a.last(ctx); err == nil && place > last {
			place = 0
			err = q.SetGranted(ctx, 0)
		}
		return err
	})
	return place, err
}

// last is the last event of the stream.
func (a *App) last(ctx context.Context) (uint64, error) {
	stream, err := a.JetStream.Stream(ctx, events.EventsStream)
	if err != nil {
		return 0, err
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// watch keeps the lag.
func (a *App) watch(ctx context.Context) {
	ticker := time.NewTicker(lookUp)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if last, err := a.last(ctx); err == nil {
			if place, err := db.New(a.DB).GrantedSoFar(ctx); err == nil {
				a.lag.Set(float64(last) - float64(place))
			}
		}
	}
}
