package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/decision/naive"
	"github.com/buildify/core/pkg/events"
)

// kept is how many of a tenant's revisions can be judged by. An answer at an
// older one is a difference.
const kept = 4000

// history is what the naive evaluator knows of some tenants: a model for each
// revision, made of the committed steps as the stream told them.
type history struct {
	report *report
	// committed tells by when a revision was committed, for what is stale.
	committed func(tenant string, revision int64) (time.Time, bool)

	mu      sync.Mutex
	tenants map[string]*past
}

// past is one tenant's: models[i] is that of revision first+i.
type past struct {
	first  int64
	models []*naive.Model
	last   []byte // the step to the latest revision
	early  map[int64][]byte
	// At revisions of which the stream has not told yet:
	unread   []answer
	promised []promise
}

// promise is what a change's answer said of a revision.
type promise struct {
	revision int64
	what     string
	kept     func(*naive.Model) bool
}

// answer is a decision that somebody was given.
type answer struct {
	by, tenant    string
	question      decision.Question
	allowed       bool
	revision      int64
	local         bool
	before, after time.Time // the call
}

func newHistory(r *report, committed func(string, int64) (time.Time, bool)) *history {
	return &history{report: r, committed: committed, tenants: map[string]*past{}}
}

// past is a tenant's, which begins with a policy that denies everything. The
// caller holds mu.
func (h *history) past(tenant string) *past {
	p := h.tenants[tenant]
	if p == nil {
		p = &past{models: []*naive.Model{naive.New()}, early: map[int64][]byte{}}
		h.tenants[tenant] = p
	}
	return p
}

// take takes an event of the stream.
func (h *history) take(e events.Event) {
	var step events.PolicyStep
	if err := json.Unmarshal(e.Data(), &step); err != nil {
		h.report.fail("an event cannot be read: %v: %s", err, e.Data())
		return
	}
	changes, err := json.Marshal(step.Changes)
	if err != nil {
		h.report.fail("an event cannot be read: %v", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.past(step.TenantID)
	latest := p.latest()
	switch {
	case step.Revision == latest && latest > 0 && !bytes.Equal(p.last, changes):
		h.report.fail("tenant %s revision %d was told twice, differently: %s and %s", step.TenantID, step.Revision, p.last, changes)
	case step.Revision <= latest:
	default:
		p.early[step.Revision] = changes
	}
	for raw, ok := p.early[p.latest()+1]; ok; raw, ok = p.early[p.latest()+1] {
		delete(p.early, p.latest()+1)
		p.apply(raw)
	}
	p.unread = slices.DeleteFunc(p.unread, func(a answer) bool {
		if a.revision > p.latest() {
			return false
		}
		h.judge(p, a)
		return true
	})
	p.promised = slices.DeleteFunc(p.promised, func(one promise) bool {
		if one.revision > p.latest() {
			return false
		}
		h.hold(p, step.TenantID, one)
		return true
	})
}

// expect holds a revision to what the answer to a change said of it.
func (h *history) expect(tenant string, one promise) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.past(tenant)
	if one.revision > p.latest() {
		p.promised = append(p.promised, one)
		return
	}
	h.hold(p, tenant, one)
}

func (h *history) hold(p *past, tenant string, one promise) {
	if one.revision >= p.first && !one.kept(p.models[one.revision-p.first]) {
		h.report.fail("%s was answered with revision %d of tenant %s, in whose policy that is not so", one.what, one.revision, tenant)
	}
}

func (p *past) latest() int64 { return p.first + int64(len(p.models)) - 1 }

func (p *past) apply(raw []byte) {
	var changes []contract.PolicyChange
	_ = json.Unmarshal(raw, &changes) // it was made of changes
	next := p.models[len(p.models)-1].Clone()
	next.Apply(changes)
	p.models, p.last = append(p.models, next), raw
	if len(p.models) > kept {
		p.models = slices.Clone(p.models[kept/10:])
		p.first += kept / 10
	}
}

// compare holds an answer against the model of its revision, at once or when
// the stream has told of it.
func (h *history) compare(a answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.past(a.tenant)
	if a.revision > p.latest() {
		p.unread = append(p.unread, a)
		return
	}
	h.judge(p, a)
}

// judge is compare when the revision is known. The caller holds mu.
func (h *history) judge(p *past, a answer) {
	if a.revision < p.first {
		h.report.differs(a, "the revision was left behind long ago")
		return
	}
	h.report.compared.Add(1)
	m := p.models[a.revision-p.first]
	switch {
	case agrees(m, a, a.before, a.after):
	case a.local && agrees(m, a, a.after, a.after.Add(staleness)):
		// The copy's clock is ahead by the time of a request, and no further
		// than what decides by it may be old.
		h.report.ahead.Add(1)
	default:
		h.report.differs(a, fmt.Sprintf("the naive evaluator says %t", !a.allowed))
	}
	if at, ok := h.committed(a.tenant, a.revision+1); ok {
		age := a.before.Sub(at)
		h.report.oldest(a.local, age)
		if a.local && age > staleness {
			h.report.differs(a, fmt.Sprintf("the revision after was committed %v before the question; MaxStaleness is %v", age, staleness))
		}
	}
}

// agrees reports whether the model gives the answer at a second of the call.
func agrees(m *naive.Model, a answer, from, to time.Time) bool {
	for second := from.Unix(); second <= to.Unix(); second++ {
		if m.Check(a.question, second) == a.allowed {
			return true
		}
	}
	return false
}

// model is a tenant's latest, and its revision.
func (h *history) model(tenant string) (*naive.Model, int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.past(tenant)
	return p.models[len(p.models)-1], p.latest()
}

// unjudged is how many answers and promises wait for the stream.
func (h *history) unjudged() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.tenants {
		n += len(p.unread) + len(p.promised)
	}
	return n
}
