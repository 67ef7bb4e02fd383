// Package replica keeps a module's copy of the policies that it may see, and
// knows whether it is fresh enough to decide by.
//
// Every beat of the feed says that all that was committed before a moment of the
// core's clock has been told. So the copy is as old as the last beat, once all
// that was told is in it: the age is measured on an estimate of the core's clock
// that is never behind it.
package replica

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// Core is where policies come from; see sdk.Transport and sdk.Follower.
type Core interface {
	// Snapshot asks once.
	Snapshot(context.Context, *contract.PolicySnapshotRequest) (*contract.PolicySnapshotResponse, error)
	Follow(ctx context.Context, subjects []string, opened func(), handle func(message []byte)) error
}

// Config says what to keep a copy of.
type Config struct {
	Core         Core
	MaxStaleness time.Duration
	Log          *slog.Logger
}

// State is how a Replica is.
type State struct {
	// Fresh says that it can be decided by.
	Fresh bool
	// Tenants is how many are held, as new as anything that was told of them.
	Tenants int
	// Age is how old the copy is at most; negative when that is not known.
	Age time.Duration
	// Since is when Fresh last changed.
	Since time.Time
	// Trouble is what last kept it from being fresh; nil if nothing ever did.
	Trouble error
}

// errStarting is the trouble until it is fresh for the first time.
var errStarting = errors.New("the first snapshot is not in yet")

// Replica is safe for concurrent use.
//
//	session: snapshot ▶ feed open ▶ snapshots, steps, beats ── lost, silent ──▶ pause ▶ session
type Replica struct {
	cfg   Config
	epoch time.Time // of the monotonic clock

	lease  atomic.Pointer[lease] // nil: not fresh
	offset atomic.Int64          // the core's clock at epoch, in nanoseconds since 1970
	held   atomic.Pointer[map[string]*tenant]

	cancel context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	state State
	fresh chan struct{} // closed while it is fresh
	session
}

// session is what is known since the feed was opened.
type session struct {
	tenants map[string]*tenant
	clock   clock
	// opened is when the feed was: beats are believed that tell of later moments.
	opened time.Time
	asOf   time.Time // of the last beat
	beat   time.Time // when it came
	// complete says that every page of the snapshot was taken.
	complete bool
	added    bool                 // tenants has some that held has not
	wanted   map[*tenant]struct{} // to be taken
	behind   map[*tenant]struct{} // steps of theirs are missing
	wake     chan struct{}
	asked    time.Time // when the core last was for its clock alone
}

// Start returns a replica that takes its first snapshot in the background. The
// caller closes it.
func Start(cfg Config) *Replica {
	ctx, cancel := context.WithCancel(context.Background())
	now := time.Now()
	r := &Replica{
		cfg: cfg, epoch: now, cancel: cancel, done: make(chan struct{}),
		fresh: make(chan struct{}), state: State{Since: now, Trouble: errStarting},
	}
	r.held.Store(&map[string]*tenant{})
	go func() {
		defer close(r.done)
		r.run(ctx)
	}()
	return r
}

// Close ends the replica: from now on it is not fresh. It is idempotent and
// returns when nothing of it runs any more.
func (r *Replica) Close() {
	r.cancel()
	<-r.done
}

// Policy returns the policy of a tenant to decide by, at a revision or later;
// nil when the core must be asked. It does not allocate.
func (r *Replica) Policy(tenantID string, atLeast int64) *decision.Policy {
	if !r.lease.Load().holds(r.epoch, time.Now()) {
		return nil
	}
	t := (*r.held.Load())[tenantID]
	if t == nil {
		return nil
	}
	p := t.visible.Load()
	if p == nil || p.Revision() < atLeast {
		return nil
	}
	return p
}

// Now is the core's clock in seconds since 1970, a decision.Clock. While the
// replica is fresh it is ahead by the time of a request at most.
func (r *Replica) Now() int64 {
	return (r.offset.Load() + int64(time.Since(r.epoch))) / int64(time.Second)
}

// State tells how the replica is.
func (r *Replica) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.judge(now)
	s := r.state
	s.Age = -1
	if core, known := r.clock.latest(now, now); known && !r.asOf.IsZero() {
		s.Age = max(0, core.Sub(r.asOf))
	}
	for _, t := range r.tenants {
		if t.visible.Load() != nil {
			s.Tenants++
		}
	}
	return s
}

// Await returns once the snapshot is complete and fresh, or with the error of
// ctx, or when the replica is closed.
func (r *Replica) Await(ctx context.Context) error {
	for {
		r.mu.Lock()
		fresh := r.fresh
		r.mu.Unlock()
		select {
		case <-fresh:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-r.done:
			return context.Canceled
		}
	}
}
