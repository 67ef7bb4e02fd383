package replica

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// maxSteps is how many steps of a tenant wait for what comes before them.
const maxSteps = 256

type state int

const (
	missing  state = iota // a snapshot must be taken
	arriving              // parts of a snapshot are in
	whole                 // all parts are in; steps are applied
	gone                  // the module does not see the tenant
)

// tenant is what is held of one tenant's policy.
//
//	missing ── first part ──▶ arriving ── last part ──▶ whole
//	   ▲ ◀── reset, step missed ─────────────────────────┘
//	   └── told of something newer ── gone ◀── from any state
//
// The parts of a snapshot may be of different revisions. They are a policy once
// every step from the lowest revision to the highest is applied on top of them.
type tenant struct {
	id string
	// visible is the policy to decide by: nil unless it is complete, and newer
	// than anything that was heard.
	visible atomic.Pointer[decision.Policy]

	// What follows is guarded by Replica.mu.
	state  state
	policy *decision.Policy
	low    int64 // arriving: the lowest revision of a part
	at     int64 // whole: all steps up to it are in policy
	heard  int64 // the highest revision that was told of
	reset  int64 // the highest revision of a reset
	steps  map[int64][]contract.PolicyChange
	late   int // beats for which a step has been missing

	wanted bool      // it is to be taken, or being taken
	tries  int       // that failed in a row
	retry  time.Time // not before
}

// current reports whether the tenant can be decided about.
func (t *tenant) current() bool { return t.state == whole && t.at >= t.heard }

// hear notes a revision. A tenant that was gone is back with a newer one.
func (t *tenant) hear(revision int64) {
	if t.state == gone && revision > t.heard {
		t.state = missing
	}
	t.heard = max(t.heard, revision)
}

// step takes the changes that lead to a revision.
func (t *tenant) step(revision int64, changes []contract.PolicyChange) {
	t.hear(revision)
	if t.state == gone || t.state == whole && revision <= t.at {
		return
	}
	if t.steps == nil {
		t.steps = map[int64][]contract.PolicyChange{}
	}
	t.steps[revision] = changes
	for len(t.steps) > maxSteps { // then the tenant is taken anew
		delete(t.steps, slices.Min(slices.Collect(maps.Keys(t.steps))))
	}
	t.settle()
}

// repeat takes that the policy is at a revision.
func (t *tenant) repeat(revision int64) {
	t.hear(revision)
	t.settle()
}

// startOver takes that the step to a revision, 0 for one that is not told,
// cannot be told. All of the core's replicas say so.
func (t *tenant) startOver(revision int64) {
	t.hear(revision)
	held := t.at
	if t.state == arriving {
		held = t.low - 1
	}
	if t.state == gone || revision > 0 && (revision <= t.reset || revision < held) {
		return
	}
	t.reset = max(t.reset, revision)
	t.state = missing
	t.settle()
}

// leave takes that the module does not see the tenant from a revision on.
func (t *tenant) leave(revision int64) {
	if revision < t.heard { // another replica was slower: it came back since
		return
	}
	t.heard = revision
	t.state, t.policy, t.steps = gone, nil, nil
	t.settle()
}

// begin makes room for a snapshot.
func (t *tenant) begin() {
	t.state, t.policy, t.late = missing, nil, 0
	t.settle()
}

// part takes a part of a snapshot; first says that no page before had one of
// the tenant.
func (t *tenant) part(p *contract.PolicyPart, first bool) {
	switch {
	case t.state == gone && p.Revision <= t.heard: // told by a replica that does not know yet
		return
	case first && t.state != whole:
		t.state, t.policy, t.low = arriving, decision.New(), p.Revision
	case t.state != arriving: // what it goes on from was given up meanwhile
		return
	}
	t.policy = t.policy.Apply(p.Revision, p.Changes)
	t.low = min(t.low, p.Revision)
	t.hear(p.Revision)
	if !p.More {
		t.state, t.at = whole, t.low
	}
	t.settle()
}

// settle applies the steps that fit, and shows the policy or hides it.
func (t *tenant) settle() {
	for t.state == whole {
		changes, ok := t.steps[t.at+1]
		if !ok {
			maps.DeleteFunc(t.steps, func(revision int64, _ []contract.PolicyChange) bool { return revision <= t.at })
			break
		}
		t.at++
		t.policy = t.policy.Apply(t.at, changes)
		delete(t.steps, t.at)
	}
	if !t.current() {
		t.visible.Store(nil)
		return
	}
	t.late = 0
	if t.visible.Load() != t.policy {
		t.visible.Store(t.policy)
	}
}

// overdue is asked at each beat; it reports whether a step is missing for so
// long that it will not come.
func (t *tenant) overdue() bool {
	if t.state != whole || t.at >= t.heard {
		return false
	}
	t.late++
	return t.late > 1
}
