package decision

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/buildify/core/pkg/contract"
)

// Outcome is what became of a step.
type Outcome int

const (
	// Applied is a step that the policy has now taken, with those that waited for it.
	Applied Outcome = iota
	// Known is a step that the policy had taken before.
	Known
	// Gap is a step that waits: one before it, or the policy, has not come yet.
	Gap
)

// Engine holds the policies of many tenants. Reading never locks; steps of one
// tenant are taken one after another, whoever brings them.
//
// What becomes of a tenant:
//
//	         Step: waits                    Step: revision+1, then those that wait
//	           ┌──┐                           ┌──┐
//	           │  ▼            Put            │  ▼
//	──────▶ not held ──────────────────────▶ held ◀─┐ Put: the same revision or later
//	             ▲                            │  └──┘
//	             └──────────── Drop ──────────┘
type Engine struct {
	mu     sync.Mutex
	table  atomic.Pointer[[]atomic.Pointer[tenant]] // probed by the hash of the id
	filled int                                      // slots of table that are taken

	clock     atomic.Int64 // unix seconds, as of the last call of Idle
	onApplied func(tenant string, p *Policy, changes []contract.PolicyChange)
}

// tenant is an entry of the engine. It stays when its policy goes, until the
// table is made anew.
type tenant struct {
	id     id
	policy atomic.Pointer[Policy]
	used   atomic.Int64 // Engine.clock when it was last asked for
	pins   int          // how many changers and waiters have it, by Engine.mu

	mu      sync.Mutex // held while the policy is changed
	waiting map[int64][]contract.PolicyChange
	moved   chan struct{} // closed at the next change, when somebody waits for it
}

const (
	maxWaiting   = 64   // steps of a tenant
	smallestFull = 1024 // slots of the table
)

// NewEngine holds nothing yet.
func NewEngine() *Engine {
	e := &Engine{}
	table := make([]atomic.Pointer[tenant], smallestFull)
	e.table.Store(&table)
	e.clock.Store(Now())
	return e
}

// OnApplied sets what is called after each step that was taken, in revision
// order per tenant. changes is nil only when Put replaced an older policy: how
// that one became this one cannot be told. The function must not call Step, Put
// or Drop for the same tenant. Set it before the engine is used.
func (e *Engine) OnApplied(call func(tenant string, p *Policy, changes []contract.PolicyChange)) {
	e.onApplied = call
}

// Policy is the tenant's policy, or nil when the engine does not hold it.
func (e *Engine) Policy(tenant string) *Policy {
	u, ok := parseID(tenant)
	if !ok {
		return nil
	}
	t := e.find(u)
	if t == nil {
		return nil
	}
	if clock := e.clock.Load(); t.used.Load() != clock {
		t.used.Store(clock)
	}
	return t.policy.Load()
}

func (e *Engine) find(u id) *tenant {
	table := *e.table.Load()
	mask := uint64(len(table) - 1)
	for at := u.hash(); ; at++ {
		t := table[at&mask].Load()
		if t == nil || t.id == u {
			return t
		}
	}
}

// pin returns the tenant's entry, made if need be, which stays until unpin.
func (e *Engine) pin(u id) *tenant {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.find(u)
	if t == nil {
		if 2*(e.filled+1) > len(*e.table.Load()) {
			e.rebuild()
		}
		t = &tenant{id: u}
		t.used.Store(e.clock.Load())
		seatTenant(*e.table.Load(), t)
		e.filled++
	}
	t.pins++
	return t
}

func (e *Engine) unpin(t *tenant) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t.pins--
}

func seatTenant(table []atomic.Pointer[tenant], t *tenant) {
	mask := uint64(len(table) - 1)
	at := t.id.hash()
	for table[at&mask].Load() != nil {
		at++
	}
	table[at&mask].Store(t)
}

// rebuild makes the table anew, with room to grow and without the entries that
// hold no policy and that nobody has.
func (e *Engine) rebuild() {
	var kept []*tenant
	old := *e.table.Load()
	for i := range old {
		if t := old[i].Load(); t != nil && (t.pins > 0 || t.policy.Load() != nil) {
			kept = append(kept, t)
		}
	}
	size := smallestFull
	for size < 4*len(kept) {
		size *= 2
	}
	table := make([]atomic.Pointer[tenant], size)
	for _, t := range kept {
		seatTenant(table, t)
	}
	e.table.Store(&table)
	e.filled = len(kept)
}

// Put holds a policy, unless a newer one is held, and takes the steps that
// waited for it. One of the same revision replaces what is held.
func (e *Engine) Put(tenant string, p *Policy) {
	u, ok := parseID(tenant)
	if !ok {
		return
	}
	t := e.pin(u)
	defer e.unpin(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	held := t.policy.Load()
	if held != nil && held.revision > p.revision {
		return
	}
	t.policy.Store(p)
	if held != nil && held.revision < p.revision {
		e.applied(t, p, nil)
	}
	e.drain(t)
	t.wake()
}

// Drop forgets the tenant's policy and the steps that wait.
func (e *Engine) Drop(tenant string) {
	u, ok := parseID(tenant)
	if !ok || e.find(u) == nil {
		return
	}
	t := e.pin(u)
	defer e.unpin(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policy.Store(nil)
	t.waiting = nil
}

// Step takes the step to revision. One that comes too early waits, at most 64 a
// tenant, the latest, until those before it came or Put brought a policy that it
// follows.
func (e *Engine) Step(tenant string, revision int64, changes []contract.PolicyChange) Outcome {
	u, ok := parseID(tenant)
	if !ok {
		return Known
	}
	t := e.pin(u)
	defer e.unpin(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	held := t.policy.Load()
	switch {
	case held != nil && revision <= held.revision:
		return Known
	case held == nil || revision > held.revision+1:
		t.wait(revision, changes)
		return Gap
	}
	e.take(t, held, revision, changes)
	e.drain(t)
	t.wake()
	return Applied
}

// wait keeps a step for later.
func (t *tenant) wait(revision int64, changes []contract.PolicyChange) {
	if t.waiting == nil {
		t.waiting = map[int64][]contract.PolicyChange{}
	}
	t.waiting[revision] = changes
	if len(t.waiting) > maxWaiting {
		first := revision
		for r := range t.waiting {
			first = min(first, r)
		}
		delete(t.waiting, first)
	}
}

func (e *Engine) take(t *tenant, held *Policy, revision int64, changes []contract.PolicyChange) {
	p := held.Apply(revision, changes)
	t.policy.Store(p)
	if changes == nil {
		changes = []contract.PolicyChange{}
	}
	e.applied(t, p, changes)
}

func (e *Engine) applied(t *tenant, p *Policy, changes []contract.PolicyChange) {
	if e.onApplied != nil {
		e.onApplied(t.id.String(), p, changes)
	}
}

// drain takes the steps that wait for the present revision.
func (e *Engine) drain(t *tenant) {
	for len(t.waiting) > 0 {
		held := t.policy.Load()
		for r := range t.waiting {
			if r <= held.revision {
				delete(t.waiting, r)
			}
		}
		next, come := t.waiting[held.revision+1]
		if !come {
			return
		}
		delete(t.waiting, held.revision+1)
		e.take(t, held, held.revision+1, next)
	}
	t.waiting = nil
}

func (t *tenant) wake() {
	if t.moved != nil {
		close(t.moved)
		t.moved = nil
	}
}

// Await returns once the tenant's policy is at revision or later, or with the
// context's error.
func (e *Engine) Await(ctx context.Context, tenant string, revision int64) error {
	if p := e.Policy(tenant); p != nil && p.revision >= revision {
		return nil
	}
	u, ok := parseID(tenant)
	if !ok {
		<-ctx.Done()
		return ctx.Err()
	}
	t := e.pin(u)
	defer e.unpin(t)
	for {
		t.mu.Lock()
		if p := t.policy.Load(); p != nil && p.revision >= revision {
			t.mu.Unlock()
			return nil
		}
		if t.moved == nil {
			t.moved = make(chan struct{})
		}
		moved := t.moved
		t.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Tenants yields the tenants whose policies are held, in no order.
func (e *Engine) Tenants() iter.Seq[string] {
	return func(yield func(string) bool) {
		table := *e.table.Load()
		for i := range table {
			if t := table[i].Load(); t != nil && t.policy.Load() != nil && !yield(t.id.String()) {
				return
			}
		}
	}
}

// Idle lists the tenants whose policies were last asked for before since, and
// forgets steps that wait for policies which nobody asked for in that time. The
// engine knows when that was only as exactly as Idle is called often.
func (e *Engine) Idle(since time.Time) []string {
	var idle []string
	table := *e.table.Load()
	for i := range table {
		t := table[i].Load()
		if t == nil || t.used.Load() >= since.Unix() {
			continue
		}
		if t.policy.Load() != nil {
			idle = append(idle, t.id.String())
		} else {
			t.forget()
		}
	}
	e.clock.Store(Now())
	return idle
}

func (t *tenant) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.policy.Load() == nil {
		t.waiting = nil
	}
}
