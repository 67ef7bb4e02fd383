package decision_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// nth is a step after which user n has a role.
func nth(n int) []contract.PolicyChange {
	return []contract.PolicyChange{{Binding: &contract.PolicyBinding{ID: newID(5, n), UserID: newID(1, n), RoleID: newID(2, 1)}}}
}

func TestStepsAreTakenInOrderWhateverOrderTheyComeIn(t *testing.T) {
	t.Parallel()
	e := decision.NewEngine()
	tenant := newID(0, 1)
	var told []int64
	e.OnApplied(func(of string, p *decision.Policy, changes []contract.PolicyChange) {
		if of != tenant || changes == nil {
			t.Error(of, changes)
		}
		told = append(told, p.Revision())
	})
	steps := func(want decision.Outcome, revision int64) {
		t.Helper()
		if got := e.Step(tenant, revision, nth(int(revision))); got != want {
			t.Errorf("step %d: %d", revision, got)
		}
	}
	steps(decision.Gap, 6) // before the policy
	e.Put(tenant, office())
	steps(decision.Known, 1)
	steps(decision.Gap, 4)
	steps(decision.Gap, 5)
	steps(decision.Gap, 4)
	steps(decision.Applied, 2)
	if r := e.Policy(tenant).Revision(); r != 2 {
		t.Error(r)
	}
	if e.Step(tenant, 3, nil) != decision.Applied { // nothing changed in it
		t.Error("a step without changes is not taken")
	}
	if r := e.Policy(tenant).Revision(); r != 6 || !slices.Equal(told, []int64{2, 3, 4, 5, 6}) {
		t.Error(r, told)
	}
	for _, n := range []int{2, 4, 5, 6} {
		if !e.Policy(tenant).Knows(newID(1, n)) {
			t.Error(n)
		}
	}
	e.Drop(tenant)
	if e.Policy(tenant) != nil || len(slices.Collect(e.Tenants())) != 0 {
		t.Error("dropped, and still there")
	}
}

func TestPutKeepsTheNewerAndTellsOfAJump(t *testing.T) {
	t.Parallel()
	e := decision.NewEngine()
	tenant := newID(0, 1)
	jumps := 0
	e.OnApplied(func(_ string, _ *decision.Policy, changes []contract.PolicyChange) {
		if changes == nil {
			jumps++
		}
	})
	five, again, four, nine := decision.New().Apply(5, nil), decision.New().Apply(5, nil), decision.New().Apply(4, nil), decision.New().Apply(9, nil)
	for _, c := range []struct{ put, held *decision.Policy }{{five, five}, {four, five}, {again, again}, {nine, nine}} {
		e.Step(tenant, 7, nth(7)) // waits until nine makes it known
		if e.Put(tenant, c.put); e.Policy(tenant) != c.held {
			t.Errorf("%d is held after %d", e.Policy(tenant).Revision(), c.put.Revision())
		}
	}
	if jumps != 1 || e.Step(tenant, 10, nil) != decision.Applied {
		t.Error(jumps)
	}
}

func TestNoMoreStepsWaitThanAreAllowed(t *testing.T) {
	t.Parallel()
	e := decision.NewEngine()
	tenant := newID(0, 1)
	e.Put(tenant, office())
	for r := int64(1000); r > 2; r-- {
		e.Step(tenant, r, nil)
	}
	e.Put(tenant, decision.New().Apply(936, nil))
	if r := e.Policy(tenant).Revision(); r != 1000 { // the latest 64 waited
		t.Error(r)
	}
}

func TestAwaitEndsAtTheRevisionOrWithTheContext(t *testing.T) {
	t.Parallel()
	e := decision.NewEngine()
	tenant := newID(0, 1)
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 3)
	for range 3 {
		go func() { results <- e.Await(t.Context(), tenant, 3) }()
	}
	e.Put(tenant, office())
	e.Step(tenant, 3, nil)
	e.Step(tenant, 2, nil)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	go func() { results <- e.Await(ctx, tenant, 4) }()
	go func() { results <- e.Await(ctx, "nobody", 4) }()
	cancel()
	for range 2 {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestTenantsThatNobodyAsksForAreIdle(t *testing.T) {
	t.Parallel()
	e := decision.NewEngine()
	for n := range 3 {
		e.Put(newID(0, n), office())
	}
	e.Step(newID(0, 9), 2, nil)
	soon := time.Now().Add(time.Hour)
	if idle := e.Idle(time.Now().Add(-time.Hour)); len(idle) != 0 {
		t.Error(idle)
	}
	if idle := e.Idle(soon); len(idle) != 3 {
		t.Error(idle)
	}
	e.Put(newID(0, 9), office())
	if r := e.Policy(newID(0, 9)).Revision(); r != 1 {
		t.Error("a step waited for a policy that nobody asked for", r)
	}
}

func TestManyTenantsAreFoundAgain(t *testing.T) {
	t.Parallel()
	e := decision.NewEngine()
	p := office()
	for n := range 20_000 {
		e.Put(newID(0, n), p)
		if n%2 == 0 {
			e.Drop(newID(0, n))
		}
	}
	for n := range 20_000 {
		if held := e.Policy(newID(0, n)) != nil; held == (n%2 == 0) {
			t.Fatal(n)
		}
	}
	if n := len(slices.Collect(e.Tenants())); n != 10_000 {
		t.Error(n)
	}
	if e.Policy("x") != nil || e.Policy("") != nil {
		t.Error("a policy of nobody")
	}
}

// Several bring the same steps in any order while others ask, wait, load anew
// and drop: no revision decides differently from what belongs to it.
func TestConcurrentStepsAndQuestions(t *testing.T) {
	t.Parallel()
	const tenants, last = 8, 200
	e := decision.NewEngine()
	var applied [tenants]atomic.Int64
	e.OnApplied(func(tenant string, p *decision.Policy, changes []contract.PolicyChange) {
		n := 0
		for newID(0, n) != tenant {
			n++
		}
		if before := applied[n].Swap(p.Revision()); changes != nil && before >= p.Revision() && before != last {
			t.Errorf("told of %d after %d", p.Revision(), before)
		}
	})
	whole := make([]*decision.Policy, last+1)
	whole[1] = office()
	for r := 2; r <= last; r++ {
		whole[r] = whole[r-1].Apply(int64(r), nth(r))
	}
	for n := range tenants {
		e.Put(newID(0, n), whole[1])
	}
	var steppers, readers sync.WaitGroup
	for worker := range 3 {
		steppers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 7))
			for from := 2; from <= last; from += 20 {
				order := r.Perm(20)
				for _, i := range order {
					for n := range tenants {
						if from+i <= last {
							e.Step(newID(0, n), int64(from+i), nth(from+i))
						}
					}
				}
				if worker == 0 {
					e.Put(newID(0, r.IntN(tenants)), whole[from])
				}
			}
		})
	}
	done := make(chan struct{})
	for worker := range 2 {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 8))
			for {
				select {
				case <-done:
					return
				default:
				}
				p := e.Policy(newID(0, r.IntN(tenants)))
				user := 2 + r.IntN(last-1)
				q := decision.Question{User: newID(1, user), Permission: "crm:people:read"}
				if got, want := p.Check(q, nil), int64(user) <= p.Revision(); got != want {
					t.Errorf("revision %d, user %d: %v", p.Revision(), user, got)
					return
				}
			}
		})
	}
	for n := range tenants {
		readers.Go(func() {
			if err := e.Await(t.Context(), newID(0, n), last); err != nil {
				t.Error(err)
			}
		})
	}
	steppers.Wait()
	for n := range tenants {
		if err := e.Await(t.Context(), newID(0, n), last); err != nil {
			t.Error(err)
		}
		if e.Policy(newID(0, n)).Digest() != whole[last].Digest() {
			t.Errorf("tenant %d differs", n)
		}
	}
	close(done)
	readers.Wait()
}
