package soak

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// most is how many differences are told one by one.
const most = 20

// report counts what happens, and fails the test when something differs.
type report struct {
	t     *testing.T
	seed  uint64
	begun time.Time

	compared, differences, ahead atomic.Int64
	mutations                    atomic.Int64
	staleLocal, staleRemote      atomic.Int64 // nanoseconds

	mu     sync.Mutex
	kinds  map[string]int // mutations and their refusals
	faults []string
	errors map[string]int
}

func newReport(t *testing.T, seed uint64) *report {
	return &report{t: t, seed: seed, begun: time.Now(), kinds: map[string]int{}, errors: map[string]int{}}
}

// fail tells of something that must not happen.
func (r *report) fail(format string, args ...any) {
	r.t.Helper()
	if r.differences.Add(1) <= most {
		r.t.Errorf("seed %d, after %v: %s", r.seed, time.Since(r.begun).Round(time.Millisecond), fmt.Sprintf(format, args...))
	}
}

// differs tells of an answer that is wrong.
func (r *report) differs(a answer, why string) {
	r.t.Helper()
	r.fail("%s was told %t (local %t) in tenant %s at revision %d about %+v; %s", a.by, a.allowed, a.local, a.tenant, a.revision, a.question, why)
}

// mutated counts an attempt to change something, and what came of it.
func (r *report) mutated(kind, outcome string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if outcome == "" {
		r.mutations.Add(1)
		r.kinds[kind]++
		return
	}
	r.kinds[kind+" "+outcome]++
}

// refused counts an answer that decides nothing.
func (r *report) refused(by, code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors[by+" "+code]++
}

func (r *report) fault(what string, resumed time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf("%-40s everybody decides locally again after %v", what, resumed.Round(time.Millisecond)))
}

// oldest notes by how much an answer was behind the database.
func (r *report) oldest(local bool, age time.Duration) {
	worst := &r.staleRemote
	if local {
		worst = &r.staleLocal
	}
	for old := worst.Load(); int64(age) > old && !worst.CompareAndSwap(old, int64(age)); old = worst.Load() {
	}
}

func (r *report) line(askers []*asker) string {
	local, remote := int64(0), int64(0)
	for _, a := range askers {
		local, remote = local+a.local.Load(), remote+a.remote.Load()
	}
	return fmt.Sprintf("%6v  mutations %d  decisions local %d remote %d  compared %d  differences %d",
		time.Since(r.begun).Round(time.Second), r.mutations.Load(), local, remote, r.compared.Load(), r.differences.Load())
}

// table is the end of the run.
func (r *report) table(askers []*asker) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n%s\n", r.seed, r.line(askers))
	fmt.Fprintf(&b, "most that an answer was behind what was committed: local %v (of %v), remote %v; expiries decided ahead of their second: %d\n",
		time.Duration(r.staleLocal.Load()).Round(time.Millisecond), staleness, time.Duration(r.staleRemote.Load()).Round(time.Millisecond), r.ahead.Load())
	fmt.Fprintf(&b, "%-10s %10s %10s %10s %s\n", "asker", "local", "remote", "refused", "longest without local decisions")
	for _, a := range askers {
		fmt.Fprintf(&b, "%-10s %10d %10d %10d %v\n", a.name, a.local.Load(), a.remote.Load(), a.refused.Load(), a.longest().Round(time.Millisecond))
	}
	for _, line := range r.faults {
		fmt.Fprintln(&b, "fault:", line)
	}
	fmt.Fprintf(&b, "mutations: %v\nanswers that decided nothing: %v\n", r.kinds, r.errors)
	return b.String()
}
