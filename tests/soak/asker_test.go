package soak

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/tests/stack"
)

// staleness is the MaxStaleness of all clients.
const staleness = 2 * time.Second

// asker asks random questions by a module's SDK, and has the answers judged.
type asker struct {
	name    string
	module  string
	client  *sdk.Client
	line    *stack.Line
	tenants []*tenant
	rand    *rand.Rand
	history *history
	report  *report

	local, remote, refused atomic.Int64

	mu   sync.Mutex
	last time.Time     // a local decision
	gap  time.Duration // the longest between two
	seen map[string]int64
}

// waiting is how many questions of an asker may wait for the core at once.
const waiting = 1000

// run asks until ctx ends, some questions each pause. Those that wait for the
// core hold up no others.
func (a *asker) run(ctx context.Context, pause time.Duration) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	var asked sync.WaitGroup
	defer asked.Wait()
	slots := make(chan struct{}, waiting)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for range 4 {
			d := a.draw()
			select {
			case slots <- struct{}{}:
				asked.Go(func() {
					a.ask(ctx, d)
					<-slots
				})
			default:
			}
		}
	}
}

// drawn is a question that is to be asked.
type drawn struct {
	decision.Question
	tenant *tenant
	about  []sdk.About
	least  int64
	seen   bool // the module must see the user
}

func (a *asker) draw() drawn {
	w := one(a.rand, a.tenants)
	d := drawn{Question: w.question(a.rand, a.module), tenant: w}
	d.seen = w.isSteady(d.User)
	d.about = []sdk.About{sdk.InTenant(w.id)}
	if d.Unit != "" {
		d.about = append(d.about, one(a.rand, []func(string) sdk.About{sdk.InCompany, sdk.InBranch, sdk.InDepartment})(d.Unit))
	}
	if d.ResourceType != "" {
		d.about = append(d.about, sdk.OnResourceOf(d.ResourceType, d.ResourceID))
	}
	switch a.rand.IntN(8) {
	case 0: // what somebody changed
		d.least = w.reached()
	case 1: // what this client saw: it never goes back
		d.least = a.saw(w.id, 0)
	}
	if d.least > 0 {
		d.about = append(d.about, sdk.AtLeast(d.least))
	}
	return d
}

// ask asks a question and has the answer judged.
func (a *asker) ask(ctx context.Context, q drawn) {
	call, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	before := time.Now()
	d, err := a.client.Decide(call, q.User, q.Permission, q.about...)
	after := time.Now()
	if err != nil {
		a.refuse(ctx, q, err)
		return
	}
	given := answer{
		by: a.name, tenant: q.tenant.id, question: q.Question, allowed: d.Allowed, revision: d.Revision, local: d.Local, before: before, after: after,
	}
	if d.Revision < q.least {
		a.report.differs(given, "an earlier one than was asked for")
	}
	a.saw(q.tenant.id, d.Revision)
	if d.Local {
		a.local.Add(1)
		a.decided(before)
	} else {
		a.remote.Add(1)
	}
	a.history.compare(given)
}

// refuse judges an error: whom a module must see it is never told to be
// missing, and everything else must pass.
func (a *asker) refuse(ctx context.Context, q drawn, err error) {
	var e *contract.Error
	switch {
	case ctx.Err() != nil:
		return
	case !errors.As(err, &e):
		a.report.fail("%s got a strange error about %+v: %v", a.name, q.Question, err)
		return
	}
	a.refused.Add(1)
	a.report.refused(a.name, string(e.Code))
	passing := []contract.Code{contract.Unavailable, contract.DeadlineExceeded, contract.RateLimited}
	switch {
	case slices.Contains(passing, e.Code):
	case e.Code == contract.Conflict && q.least > 0:
	case e.Code == contract.NotFound && !q.seen:
	default:
		a.report.fail("%s was refused about %+v in tenant %s: %v", a.name, q.Question, q.tenant.id, err)
	}
}

// saw notes the revision of a tenant that an answer had, and returns the
// highest.
func (a *asker) saw(tenant string, revision int64) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[tenant] = max(a.seen[tenant], revision)
	return a.seen[tenant]
}

func (a *asker) decided(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.last.IsZero() {
		a.gap = max(a.gap, at.Sub(a.last))
	}
	a.last = at
}

// since reports whether a local decision was made after a moment.
func (a *asker) since(at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last.After(at)
}

func (a *asker) longest() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gap
}

// remotely asks the replicas themselves, one by one or many at once, until ctx
// ends: whichever of them answers, at its revision the answer is the naive one.
type remotely struct {
	core    *kit.Client
	tenants []*tenant
	rand    *rand.Rand
	history *history
	report  *report
}

func (a *remotely) run(ctx context.Context, pause time.Duration) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		call, cancel := context.WithTimeout(ctx, 3*time.Second)
		var err error
		w := one(a.rand, a.tenants)
		if a.rand.IntN(4) == 0 {
			err = a.whoCan(call, w)
		} else {
			err = a.batch(call, w)
		}
		cancel()
		var e *contract.Error
		if errors.As(err, &e) {
			a.report.refused("remotely", string(e.Code))
			if e.Code == contract.InternalError || e.Code == contract.InvalidArgument {
				a.report.fail("asked directly: %v", err)
			}
		}
	}
}

func (a *remotely) batch(ctx context.Context, w *tenant) error {
	request := &contract.CheckBatchRequest{TenantID: contract.ID(w.id)}
	var questions []decision.Question
	for range 10 {
		q := w.question(a.rand, one(a.rand, modules))
		if !w.isSteady(q.User) {
			continue // who is not seen is answered no, whatever the policy says
		}
		questions = append(questions, q)
		request.Checks = append(request.Checks, contract.BatchItem{
			UserID: q.User, Permission: q.Permission, UnitID: q.Unit, ResourceType: q.ResourceType, ResourceID: q.ResourceID,
		})
	}
	if len(questions) == 0 {
		return nil
	}
	before := time.Now()
	answers, err := kit.Call(ctx, a.core, contract.CheckPermissions, request)
	if err != nil {
		return err
	}
	after := time.Now()
	for i, q := range questions {
		a.history.compare(answer{
			by: "check_batch", tenant: w.id, question: q, allowed: answers.Allowed[i], revision: answers.Revision, before: before, after: after,
		})
	}
	return nil
}

// whoCan holds the list of those who may against the naive evaluator's, person
// by person.
func (a *remotely) whoCan(ctx context.Context, w *tenant) error {
	q := w.question(a.rand, one(a.rand, modules))
	request := &contract.WhoCanRequest{
		TenantID: contract.ID(w.id), Permission: q.Permission, DepartmentID: contract.ID(q.Unit),
		ResourceType: q.ResourceType, ResourceID: contract.ID(q.ResourceID), Limit: 500,
	}
	before := time.Now()
	list, err := kit.Call(ctx, a.core, contract.WhoCan, request)
	if err != nil {
		return err
	}
	after := time.Now()
	for range 4 {
		q.User = w.any(a.rand, &w.users)
		a.history.compare(answer{
			by: "who_can", tenant: w.id, question: q, allowed: slices.Contains(list.UserIDs, q.User), revision: list.Revision, before: before, after: after,
		})
	}
	return nil
}
