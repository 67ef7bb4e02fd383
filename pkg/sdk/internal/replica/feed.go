package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/buildify/core/pkg/contract"
)

const (
	// maxWanted is how many tenants are taken one by one; with more the snapshot
	// of all is taken anew.
	maxWanted = 100
	// repeated is less than the three seconds for which the core repeats, at
	// each beat, what changed. When beats are further apart, it may have been
	// told and lost on the way together with the beats.
	repeated = 2500 * time.Millisecond
)

var (
	errStale  = errors.New("the feed brings no beats that are fresh enough")
	errMissed = errors.New("beats of the feed are missing, and perhaps changes")
	errBehind = errors.New("too many tenants have missed steps")
)

// tell takes a message of the feed. After an error the feed cannot be followed.
func (r *Replica) tell(message []byte) error {
	var m contract.PolicyFeedMessage
	if err := json.Unmarshal(message, &m); err != nil {
		return fmt.Errorf("a message of the feed cannot be read: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if m.AsOf != nil {
		return r.beaten(*m.AsOf, now)
	}
	if m.TenantID == "" {
		return nil // a later version's
	}
	t := r.tenants[m.TenantID]
	if t == nil {
		t = &tenant{id: m.TenantID}
		r.tenants[t.id], r.added = t, true
	}
	switch {
	case m.Gone && m.Revision > 0:
		t.leave(m.Revision)
	case m.Gone, m.Reset:
		t.startOver(m.Revision)
	case m.Step:
		t.step(m.Revision, m.Changes)
	default:
		t.repeat(m.Revision)
	}
	return r.follow(t)
}

// follow sees to it that the tenant becomes current.
func (r *Replica) follow(t *tenant) error {
	if r.complete && r.added {
		r.publish()
	}
	switch {
	case t.current(), t.state == gone:
		delete(r.behind, t)
	case t.state == whole:
		r.behind[t] = struct{}{}
	case r.complete && !t.wanted:
		r.want(t)
	}
	if len(r.wanted) > maxWanted {
		return errBehind
	}
	return nil
}

// want has the tenant taken.
func (r *Replica) want(t *tenant) {
	t.wanted = true
	delete(r.behind, t)
	r.wanted[t] = struct{}{}
	r.nudge()
}

// publish lets readers find the tenants. Those that are no more stay, hidden.
func (r *Replica) publish() {
	held := maps.Clone(r.tenants)
	r.held.Store(&held)
	r.added = false
}

// beaten takes a beat.
func (r *Replica) beaten(asOf, now time.Time) error {
	switch {
	case r.beat.IsZero():
		r.nudge()
	case asOf.Sub(r.asOf) > repeated:
		return errMissed
	}
	r.asOf, r.beat = asOf, now
	if r.complete {
		for t := range r.behind {
			if t.overdue() {
				r.want(t)
			}
		}
	}
	r.judge(now)
	if len(r.wanted) > maxWanted {
		return errBehind
	}
	return nil
}

// judge renews the lease by the last beat and what is known of the core's clock,
// or ends it.
func (r *Replica) judge(now time.Time) {
	core, known := r.clock.latest(now, now)
	if known && core.Sub(r.asOf) < -tolerance { // nobody tells of the future: the core's clock was set
		r.clock.doubt()
		known = false
	}
	// A beat claims that all was told before it; what was told before the feed
	// was open was not told to us.
	opened, _ := r.clock.latest(r.opened, now)
	left := r.cfg.MaxStaleness - max(0, core.Sub(r.asOf))
	left -= left / drift
	if !r.complete || !known || r.asOf.Before(opened) || left <= 0 {
		r.end(errStale, now)
		return
	}
	r.offset.Store(core.UnixNano() - int64(now.Sub(r.epoch)))
	r.lease.Store(&lease{until: now.Sub(r.epoch) + left, wall: now.UnixNano() + int64(left)})
	if !r.state.Fresh {
		r.state.Fresh, r.state.Since = true, now
		if errors.Is(r.state.Trouble, errStarting) {
			r.state.Trouble = nil
		}
		close(r.fresh)
		r.cfg.Log.Info("local decisions are on", "tenants", len(r.tenants))
	}
}

// end ends the lease, if there is one.
func (r *Replica) end(why error, now time.Time) {
	r.lease.Store(nil)
	if r.state.Fresh {
		r.state.Fresh, r.state.Since, r.state.Trouble = false, now, why
		r.fresh = make(chan struct{})
		r.cfg.Log.Warn("local decisions are off; the core is asked", "reason", why)
		r.nudge() // the core's clock, perhaps, was misjudged
	}
}

// nudge has the session look what is to be done.
func (r *Replica) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
