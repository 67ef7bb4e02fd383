package revocation

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/singleflight"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

// Config is what a List needs.
type Config struct {
	// Service whose verifier it is, for the metrics.
	Service string
	Source  Source
	// Keys, if set, is told of changes of the keys that sign tokens.
	Keys      Keys
	Telemetry *kit.Telemetry
}

// List is the set of ended sessions whose tokens may not have expired yet. It
// is safe for concurrent use, and whoever reads it never waits for a writer.
//
//	new ── Start ──▶ fresh ⇄ stale ── Stop ──▶ stale for good
//
// A List that was not started is stale: it asks its Source about everything.
type List struct {
	cfg     Config
	began   time.Time
	metrics metrics

	ended sync.Map // session id → time.Time until which its tokens may live
	size  atomic.Int64

	// Durations since began, on the monotonic clock.
	heard     atomic.Int64 // the last beat; 0 before the first
	owedSince atomic.Int64 // when a beat first named an event not seen yet
	owed      atomic.Uint64
	synced    atomic.Bool // snapshot and events together are complete
	troubled  atomic.Bool // the follower reported a trouble
	follower  atomic.Pointer[events.Follower]
	base      atomic.Uint64 // where the follower began

	asking  singleflight.Group
	answers answers

	refresh chan struct{} // the keys are to be asked for
	stop    context.CancelFunc
	done    sync.WaitGroup
	beat    *nats.Subscription
}

// NewList returns a List, not started, and registers its metrics.
func NewList(cfg Config) *List {
	l := &List{cfg: cfg, began: time.Now(), refresh: make(chan struct{}, 1)}
	l.register()
	return l
}

// ErrEnded is what Check answers for a session that has ended.
var ErrEnded = &contract.Error{
	Code: contract.Unauthenticated, Field: "Authorization", Message: "the session of the token has ended; log in again",
}

var errUnknown = contract.Errorf(contract.Unavailable, "sessions cannot be verified at the moment; try again")

// Revoked reports whether the session is known to have ended. It never blocks.
func (l *List) Revoked(session string) bool {
	_, ended := l.ended.Load(session)
	return ended
}

// Fresh reports whether a session that is not Revoked may be taken for open.
// It never blocks.
func (l *List) Fresh() bool {
	heard := l.heard.Load()
	return l.synced.Load() && heard != 0 && l.now()-heard < int64(lease) && !l.behind()
}

// behind reports whether a second ago there was an event that is not seen yet.
func (l *List) behind() bool {
	return l.owed.Load() > l.Sequence() && l.now()-l.owedSince.Load() >= int64(lease)
}

func (l *List) now() int64 { return int64(time.Since(l.began)) }

// Check answers nil for a session that is open, ErrEnded for one that is not,
// and unavailable when that cannot be found out. It asks the Source while the
// List is not fresh, for at most a second. tenant is the one that the token
// acts in, empty for none.
func (l *List) Check(ctx context.Context, session, tenant string) error {
	fresh := l.Fresh()
	switch {
	case l.Revoked(session):
		return ErrEnded
	case fresh || l.answers.recent(session, tenant):
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lease)
	defer cancel()
	flight := l.asking.DoChan(session+" "+tenant, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
		defer cancel()
		return nil, l.ask(ctx, session, tenant)
	})
	select {
	case result := <-flight:
		return result.Err
	case <-ctx.Done():
		return errUnknown
	}
}

func (l *List) ask(ctx context.Context, session, tenant string) error {
	_, err := l.cfg.Source.CheckSession(ctx, &contract.CheckSessionRequest{
		SessionID: contract.ID(session), TenantID: contract.ID(tenant),
	})
	switch {
	case err == nil:
		l.metrics.open.Inc()
		l.answers.put(session, tenant)
		return nil
	case errors.Is(err, ErrEnded):
		l.metrics.ended.Inc()
		return ErrEnded
	}
	l.metrics.failed.Inc()
	l.cfg.Telemetry.Log.Warn("a session cannot be verified", "service", l.cfg.Service, "error", err)
	return errUnknown
}

// Put takes in that sessions ended.
func (l *List) Put(ended events.EndedSessions) {
	for _, session := range ended.SessionIDs {
		l.put(session, ended.Until)
	}
}

// slack is how far another machine's clock may be behind.
const slack = time.Minute

func (l *List) put(session string, until time.Time) {
	if time.Since(until) > slack {
		return
	}
	if _, known := l.ended.Swap(session, until); !known {
		l.size.Add(1)
	}
}

// sweep forgets sessions whose tokens have all expired.
func (l *List) sweep(now time.Time) {
	l.ended.Range(func(session, value any) bool {
		if until, _ := value.(time.Time); now.Sub(until) > slack {
			l.ended.Delete(session)
			l.size.Add(-1)
		}
		return true
	})
}

// answers remembers which sessions the Source said were open, for a fraction
// of what Bound leaves, so that a stale List does not ask at each request.
type answers struct {
	mu    sync.Mutex
	since time.Time
	open  map[string]struct{}
}

const remember = 500 * time.Millisecond

func (a *answers) recent(session, tenant string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.open[session+" "+tenant]
	return ok && time.Since(a.since) < remember
}

func (a *answers) put(session, tenant string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil || time.Since(a.since) >= remember {
		a.since, a.open = time.Now(), map[string]struct{}{}
	}
	a.open[session+" "+tenant] = struct{}{}
}
