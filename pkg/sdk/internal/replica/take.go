package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/buildify/core/pkg/contract"
)

const (
	// pageTries is how often a page is asked for before the session is given up.
	pageTries = 5
	// calibration is how often the core's clock is asked for while all is well,
	// hurry when it may have been misjudged.
	calibration = 30 * time.Second
	hurry       = 2 * time.Second
)

var errEndless = errors.New("the snapshot has no end")

// page asks for a page of a snapshot, again when the core is away for a moment.
func (r *Replica) page(ctx context.Context, request *contract.PolicySnapshotRequest) (*contract.PolicySnapshotResponse, error) {
	for try := 1; ; try++ {
		sent := time.Now()
		page, err := r.cfg.Core.Snapshot(ctx, request)
		if err == nil {
			r.mu.Lock()
			r.clock.add(sample{sent, page.Now})
			r.mu.Unlock()
			return page, nil
		}
		if try == pageTries || ctx.Err() != nil || !passing(err) {
			return nil, err
		}
		if !sleep(ctx, pauseAfter(err, try)) {
			return nil, err
		}
	}
}

// passing reports whether an error may be gone the next time.
func passing(err error) bool {
	for _, code := range []contract.Code{contract.Unavailable, contract.DeadlineExceeded, contract.RateLimited} {
		if errors.Is(err, &contract.Error{Code: code}) {
			return true
		}
	}
	return false
}

// pauseAfter is how long to wait after so many tries, half of it random, and no
// less than the core asked for.
func pauseAfter(err error, tries int) time.Duration {
	pause := min(100*time.Millisecond<<min(tries, 10), 10*time.Second)
	pause = pause/2 + rand.N(pause/2) //nolint:gosec // jitter is no secret
	var e *contract.Error
	if errors.As(err, &e) {
		pause = max(pause, time.Duration(e.RetryAfter)*time.Second)
	}
	return pause
}

func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// takeAll takes the snapshot of all tenants.
func (r *Replica) takeAll(ctx context.Context) error {
	if err := r.pages(ctx, contract.PolicySnapshotRequest{}, nil); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.complete = true
	r.publish()
	for _, t := range r.tenants {
		if err := r.follow(t); err != nil {
			return err
		}
	}
	return nil
}

// take takes the snapshot of one tenant. Its error ends the session.
func (r *Replica) take(ctx context.Context, t *tenant) error {
	r.mu.Lock()
	if t.current() || t.state == gone { // settled while it waited
		t.wanted = false
		r.mu.Unlock()
		return nil
	}
	t.begin()
	atLeast := t.heard
	r.mu.Unlock()
	err := r.pages(ctx, contract.PolicySnapshotRequest{TenantID: contract.ID(t.id), AtLeast: atLeast}, t)

	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil
	case refused(err):
		return err
	case errors.Is(err, &contract.Error{Code: contract.NotFound}):
		t.leave(atLeast)
	}
	if t.state == whole || t.state == gone {
		t.wanted, t.tries = false, 0
		return r.follow(t)
	}
	// Until it is tried again its questions are the core's.
	t.tries++
	t.retry = time.Now().Add(pauseAfter(err, t.tries))
	r.wanted[t] = struct{}{}
	r.cfg.Log.Debug("the policy of a tenant was not taken", "tenant_id", t.id, "tries", t.tries, "error", err)
	return nil
}

// pages takes all pages of a snapshot: of one tenant, or of all.
func (r *Replica) pages(ctx context.Context, request contract.PolicySnapshotRequest, only *tenant) error {
	unfinished := "" // the tenant that the last page left off in
	for {
		page, err := r.page(ctx, &request)
		if err != nil {
			return err
		}
		r.mu.Lock()
		for i := range page.Items {
			p := &page.Items[i]
			t := r.tenants[p.TenantID]
			if t == nil && only == nil {
				t = &tenant{id: p.TenantID}
				r.tenants[t.id] = t
			}
			if t != nil && (only == nil || t == only) {
				t.part(p, p.TenantID != unfinished)
			}
			if unfinished = ""; p.More {
				unfinished = p.TenantID
			}
		}
		r.mu.Unlock()
		if page.NextCursor == "" {
			return nil
		}
		if page.NextCursor == request.Cursor {
			return errEndless
		}
		request.Cursor = page.NextCursor
	}
}

// next is a tenant to be taken, if there is one and a free slot.
func (r *Replica) next(slots chan struct{}) *tenant {
	if len(slots) == cap(slots) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := range r.wanted {
		if time.Now().After(t.retry) {
			delete(r.wanted, t)
			return t
		}
	}
	return nil
}

// calibrationDue reports whether the core's clock is to be asked for.
func (r *Replica) calibrationDue(now time.Time) bool {
	interval := calibration
	if !r.state.Fresh {
		interval = hurry
	}
	if n := len(r.clock.samples); n > 0 && now.Sub(later(r.clock.samples[n-1].sent, r.asked)) < interval {
		return false
	}
	if now.Sub(r.asked) < hurry/4 {
		return false
	}
	r.asked = now
	return true
}

// calibrate asks for the core's clock. It comes with any page; that of one
// tenant is the smallest.
func (r *Replica) calibrate(ctx context.Context) {
	request := contract.PolicySnapshotRequest{}
	r.mu.Lock()
	for _, t := range r.tenants {
		if t.current() {
			request.TenantID = contract.ID(t.id)
			break
		}
	}
	r.mu.Unlock()
	if _, err := r.page(ctx, &request); err != nil {
		r.cfg.Log.Debug("the core's clock was not told", "error", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judge(time.Now())
}
