package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
)

const (
	// openTimeout bounds the opening of the feed.
	openTimeout = 15 * time.Second
	// silence is how long the feed may bring no beat before it is opened anew.
	silence = 10 * time.Second
	// The pauses between sessions, of which half is random.
	shortestPause = 50 * time.Millisecond
	longestPause  = 10 * time.Second
	// refusedPause is the pause after the core refused what the key does not
	// grant. A key that is refused itself is tried again as after other troubles:
	// a core that is being restarted may not know it yet.
	refusedPause = 5 * time.Minute
	// tick is how often a session looks around.
	tick = 250 * time.Millisecond
	// takers is how many tenants are taken at once.
	takers = 4
)

var (
	errSilent  = errors.New("the feed brings no beats")
	errOpening = errors.New("the feed did not open in time")
)

// run holds one session after another.
func (r *Replica) run(ctx context.Context) {
	pause := shortestPause
	for {
		worked, err := r.hold(ctx)
		if ctx.Err() != nil {
			return
		}
		if worked {
			pause = shortestPause
		}
		wait := pause
		if errors.Is(err, &contract.Error{Code: contract.PermissionDenied}) {
			wait = refusedPause
		}
		timer := time.NewTimer(wait/2 + rand.N(wait/2)) //nolint:gosec // jitter is no secret
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		pause = min(2*pause, longestPause)
	}
}

// refused reports whether the core does not let this key follow.
func refused(err error) bool {
	return errors.Is(err, &contract.Error{Code: contract.PermissionDenied}) ||
		errors.Is(err, &contract.Error{Code: contract.Unauthenticated})
}

// hold holds one session. It returns why that ended, and whether the replica
// was fresh in it.
func (r *Replica) hold(ctx context.Context) (worked bool, err error) {
	r.mu.Lock()
	r.session = session{
		tenants: map[string]*tenant{}, wanted: map[*tenant]struct{}{}, behind: map[*tenant]struct{}{},
		wake: make(chan struct{}, 1),
	}
	r.mu.Unlock()
	begun := time.Now()
	err = r.serve(ctx)

	r.mu.Lock()
	defer r.mu.Unlock()
	worked = r.state.Fresh || r.state.Since.After(begun)
	switch {
	case ctx.Err() != nil:
		r.lease.Store(nil)
		r.state.Fresh, r.state.Since, r.fresh = false, time.Now(), make(chan struct{})
	case r.state.Fresh:
		r.end(err, time.Now())
	case err.Error() != r.state.Trouble.Error():
		r.state.Trouble = err
		r.cfg.Log.Warn("no local decisions; the core is asked", "reason", err)
	}
	r.session = session{}
	r.held.Store(&map[string]*tenant{})
	return worked, err
}

// serve follows the feed, and takes snapshots, until something is wrong.
func (r *Replica) serve(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	first, err := r.page(ctx, &contract.PolicySnapshotRequest{}) // it tells where the feed is
	if err != nil {
		return err
	}
	opened := make(chan struct{})
	work.Go(func() {
		cancel(r.cfg.Core.Follow(ctx, first.Feed, func() {
			r.mu.Lock()
			r.opened = time.Now()
			r.mu.Unlock()
			close(opened)
		}, func(message []byte) {
			if err := r.tell(message); err != nil {
				cancel(err)
			}
		}))
	})
	impatient := time.AfterFunc(openTimeout, func() { cancel(errOpening) })
	select {
	case <-ctx.Done():
		impatient.Stop()
		return context.Cause(ctx)
	case <-opened:
	}
	if !impatient.Stop() {
		return errOpening
	}
	// The core that tells no beats is not asked for everything.
	if err := r.firstBeat(ctx); err != nil {
		return err
	}
	if err := r.takeAll(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	}
	return r.attend(ctx, cancel, &work)
}

// firstBeat returns once the feed has brought a beat.
func (r *Replica) firstBeat(ctx context.Context) error {
	timer := time.NewTimer(silence)
	defer timer.Stop()
	for {
		r.mu.Lock()
		wake, beaten := r.wake, !r.beat.IsZero()
		r.mu.Unlock()
		if beaten {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return errSilent
		case <-wake:
		}
	}
}

// attend does what comes up while the feed is followed.
func (r *Replica) attend(ctx context.Context, cancel context.CancelCauseFunc, work *sync.WaitGroup) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	taking := make(chan struct{}, takers)
	calibrating := make(chan struct{}, 1)
	begun := time.Now()
	for {
		r.mu.Lock()
		now := time.Now()
		r.judge(now)
		quiet := now.Sub(later(r.beat, begun))
		calibrate := r.calibrationDue(now)
		wake := r.wake
		r.mu.Unlock()
		if quiet > silence {
			return errSilent
		}
		if calibrate {
			start(work, calibrating, func() { r.calibrate(ctx) })
		}
		for t := r.next(taking); t != nil; t = r.next(taking) {
			start(work, taking, func() {
				if err := r.take(ctx, t); err != nil {
					cancel(err)
				}
			})
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		case <-wake:
		}
	}
}

// start runs f unless as many run already as slots holds.
func start(work *sync.WaitGroup, slots chan struct{}, f func()) {
	select {
	case slots <- struct{}{}:
		work.Go(func() {
			f()
			<-slots
		})
	default:
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
