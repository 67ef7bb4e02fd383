// Package soak lets two replicas of rbac, and four clients that decide locally,
// work for a while, under changes at random and while one thing after another
// breaks. Whatever is decided, wherever, must be what a naive evaluator says
// that is fed with the committed steps up to the revision that decided.
//
//	SOAK=5m         how long; some seconds without it
//	SOAK_SEED=42    what changes, questions and faults are drawn from; when each
//	                of them happens differs from run to run
package soak

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// Of the tenants one is shaky, and one is changed every few seconds only: what
// is missed there is not made good by what comes next.
const tenants, quiet, shaky = 4, 1, 2

// soak is one run.
type soak struct {
	stack    *stack.Stack
	replicas []*stack.Process
	tenants  []*tenant
	askers   []*asker
	shared   *shared
	history  *history
	witness  *witness
	report   *report
	rand     func() *rand.Rand
}

func TestSoak(t *testing.T) {
	t.Parallel()
	lasts, long := setting(t)
	s := newSoak(t, seed(t))
	defer func() { t.Log("\n" + s.report.table(s.askers)) }()
	t.Log(s.report.line(s.askers))

	ctx, stop := context.WithCancel(t.Context())
	changing, settle := context.WithCancel(ctx)
	var work, changes sync.WaitGroup
	defer work.Wait()
	defer stop()
	defer settle()
	for i, w := range s.tenants {
		m := &mutator{core: s.stack.Core, tenant: w, shared: s.shared, rand: s.rand(), history: s.history, report: s.report}
		m.populate(ctx)
		if i == quiet {
			changes.Go(func() { m.run(changing, 3*time.Second) })
			continue
		}
		for range 3 { // one that waits holds up no others
			also := *m
			also.rand = s.rand()
			changes.Go(func() { also.run(changing, 150*time.Millisecond) })
		}
	}
	for _, a := range s.askers {
		work.Go(func() { a.run(ctx, 8*time.Millisecond) })
	}
	for range 2 {
		direct := &remotely{core: s.stack.Core, tenants: s.tenants, rand: s.rand(), history: s.history, report: s.report}
		work.Go(func() { direct.run(ctx, 40*time.Millisecond) })
	}
	if long {
		work.Go(func() { s.progress(ctx, t) })
	}
	s.awaitLocal(t, time.Now(), "in the beginning")
	s.breakThings(t, lasts, long)

	settle()
	changes.Wait()
	s.converge(t)
	stop()
	work.Wait()
	s.verdict(t)
}

// setting is how long the run takes, and whether that was asked for.
func setting(t *testing.T) (time.Duration, bool) {
	t.Helper()
	wanted := os.Getenv("SOAK")
	if wanted == "" {
		return 0, false
	}
	lasts, err := time.ParseDuration(wanted)
	require.NoError(t, err, "SOAK is a duration, such as 5m")
	return lasts, true
}

func seed(t *testing.T) uint64 {
	t.Helper()
	wanted := os.Getenv("SOAK_SEED")
	if wanted == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(wanted, 10, 64)
	require.NoError(t, err, "SOAK_SEED is a number")
	return seed
}

// newSoak starts everything; nothing is changed or asked yet.
func newSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	s := &soak{stack: stack.Processes(t), report: newReport(t, seed)}
	var drawn uint64
	s.rand = func() *rand.Rand {
		drawn++
		return rand.New(rand.NewPCG(seed, drawn))
	}
	s.replicas = []*stack.Process{s.stack.Processes["rbac"], s.stack.Replica(t, "rbac")}
	s.witness = newWitness(s.stack.DatabaseURL)
	s.history = newHistory(s.report, s.witness.committed)
	s.observe(t)
	for i := range tenants {
		s.tenants = append(s.tenants, newTenant(t, s.stack, i == shaky))
	}
	s.shared = &shared{}
	for _, name := range []string{"soak-reader", "soak-writer"} {
		s.shared.roles = append(s.shared.roles, stack.Do(t, s.stack, contract.CreateRole, &contract.CreateRoleRequest{
			Platform: true, Name: name, Permissions: grants(s.rand()),
		}).ID)
	}
	for _, name := range []string{"nats alpha", "sse alpha", "nats beta", "sse beta"} {
		s.askers = append(s.askers, s.newAsker(t, name))
	}
	return s
}

// observe lets the witness and the history see everything from now on.
func (s *soak) observe(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { s.witness.run(ctx) })
	js, err := jetstream.New(s.stack.Operator)
	require.NoError(t, err)
	follower, err := events.Follow(stack.Context(t), js, events.EventsStream, []string{events.PolicyChanged.Subject("*")},
		s.history.take, func(err error) { s.report.refused("stream", err.Error()) })
	require.NoError(t, err)
	t.Cleanup(func() {
		follower.Stop()
		stop()
		watching.Wait()
	})
}

// newAsker starts a module's client, named by its transport and its module.
func (s *soak) newAsker(t *testing.T, name string) *asker {
	t.Helper()
	a := &asker{
		name: name, tenants: s.tenants, rand: s.rand(), history: s.history, report: s.report, seen: map[string]int64{},
	}
	request := &contract.CreateKeyRequest{Environment: "dev", RateClass: "bulk"}
	cfg := sdk.Config{}
	switch name {
	case "nats alpha", "nats beta":
		a.line = stack.NewLine(t, s.stack.NATSURL)
		cfg.NATSURL = a.line.URL
	default:
		a.line = stack.NewLine(t, s.stack.HTTPURL)
		cfg.APIURL = a.line.URL
	}
	_, a.module, _ = strings.Cut(name, " ")
	if name == "nats beta" { // a key that is not for all tenants
		a.tenants = s.tenants[1:]
		for _, w := range a.tenants {
			request.Tenants = append(request.Tenants, w.id)
		}
	}
	request.Module = a.module
	cfg.APIKey = stack.Do(t, s.stack, contract.CreateKey, request).APIKey
	client, err := sdk.New(stack.Context(t), cfg, sdk.WithLocalDecisions(sdk.LocalDecisions{MaxStaleness: staleness}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	a.client = client
	return a
}

func (s *soak) progress(ctx context.Context, t *testing.T) {
	ticker := time.NewTicker(10 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.Log(s.report.line(s.askers))
		}
	}
}

// awaitLocal returns once every client has decided something locally since.
func (s *soak) awaitLocal(t *testing.T, since time.Time, when string) {
	t.Helper()
	for _, a := range s.askers {
		require.Eventually(t, func() bool { return a.since(since) }, resume, 5*time.Millisecond,
			"seed %d: %s %s does not decide locally", s.report.seed, when, a.name)
	}
}

// breakThings lets one fault after the other happen, in a long run two at once
// at times, until the time is up. A short one has one of each family.
func (s *soak) breakThings(t *testing.T, lasts time.Duration, long bool) {
	t.Helper()
	draw := s.rand()
	if !long {
		had := map[family]bool{}
		for _, f := range shuffled(draw, s.faults()) {
			if !had[f.family] && !f.slow {
				had[f.family] = true
				s.breakSome(t, draw, f)
			}
		}
		return
	}
	for end := time.Now().Add(lasts); ; {
		all := shuffled(draw, s.faults())
		for i, f := range all {
			if !time.Now().Before(end) {
				return
			}
			if other := one(draw, all[i:]); other.family != f.family && draw.IntN(2) == 0 {
				s.breakSome(t, draw, f, other)
			} else {
				s.breakSome(t, draw, f)
			}
			<-time.After(time.Duration(draw.Int64N(int64(time.Second)))) // of calm
		}
	}
}

// converge waits, when nothing changes any more, until every client decides
// locally at the revision that the database holds, which is the history's too.
func (s *soak) converge(t *testing.T) {
	t.Helper()
	w := s.tenants[shaky]
	stack.Do(t, s.stack, contract.ResumeTenant, &contract.TenantReasonRequest{TenantID: contract.ID(w.id)})
	for _, module := range modules {
		stack.Do(t, s.stack, contract.SetTenantModule, &contract.SetTenantModuleRequest{TenantID: contract.ID(w.id), ModuleName: module, Enabled: true})
	}
	for _, a := range s.askers {
		for _, w := range a.tenants {
			question := decision.Question{User: w.users[0], Permission: a.module + ":accounts:read"}
			var d sdk.Decision
			var err error
			require.Eventually(t, func() bool {
				d, err = a.client.Decide(stack.Context(t), question.User, question.Permission, sdk.InTenant(w.id))
				m, revision := s.history.model(w.id)
				holds := m.Check(question, time.Now().Unix()) // else the copy need not know of the user
				return err == nil && (d.Local || !holds) && d.Revision == revision && revision == s.witness.latest(w.id)
			}, resume, 10*time.Millisecond, "seed %d: %s in tenant %s: %+v %v, the database is at %d", s.report.seed, a.name, w.id, &d, &err, s.witness.latest(w.id))
		}
	}
	require.Eventually(t, func() bool { return s.history.unjudged() == 0 }, resume, 10*time.Millisecond)
	for _, w := range s.tenants {
		s.compareOwners(t, w)
	}
}

// verdict holds the whole run to what it was for.
func (s *soak) verdict(t *testing.T) {
	t.Helper()
	require.NotZero(t, s.report.mutations.Load())
	require.NotZero(t, s.report.compared.Load())
	local, remote := int64(0), int64(0)
	for _, a := range s.askers {
		require.NotZero(t, a.local.Load(), a.name)
		local, remote = local+a.local.Load(), remote+a.remote.Load()
	}
	require.Greater(t, local, remote, "most is decided locally")
}
