package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/sdk"
)

// Propagation is how long a change takes until it decides everywhere, from the
// request that makes it being sent.
type Propagation struct {
	Changes  int     `json:"changes"`
	Commit   Latency `json:"raw_commit"`     // of one row, by the same database at the same time: the limit
	Answer   Latency `json:"until_answered"` // it is committed before
	Replicas Latency `json:"until_both_replicas"`
	Bus      Latency `json:"until_both_sdks_on_the_bus"`
	SSE      Latency `json:"until_both_sdks_by_sse"`
	All      Latency `json:"until_all"`
	After    Latency `json:"from_answer_until_all"`
}

// How much is done, and for how long a change is waited for.
const (
	changes         = 300
	changePatience  = 10 * time.Second
	changeInterval  = 20 * time.Millisecond // between the beginnings of two
	replicas        = 2
	propagatedRole  = "propagated"
	propagatedGrant = module + ":propagated:read"
)

// feed notes when replicas told module of a revision: each tells of every step
// once its own engine decides so.
type feed struct {
	mu    sync.Mutex
	told  map[int64][]time.Time
	fresh chan struct{}
}

func (f *feed) handle(msg *nats.Msg) {
	now := time.Now()
	var m contract.PolicyFeedMessage
	if json.Unmarshal(msg.Data, &m) != nil || (!m.Step && !m.Reset) {
		return
	}
	f.mu.Lock()
	f.told[m.Revision] = append(f.told[m.Revision], now)
	f.mu.Unlock()
	select {
	case f.fresh <- struct{}{}:
	default:
	}
}

// await returns when all replicas had told of the revision.
func (f *feed) await(ctx context.Context, revision int64) (time.Time, error) {
	for {
		f.mu.Lock()
		told := f.told[revision]
		f.mu.Unlock()
		if len(told) >= replicas {
			return told[replicas-1], nil
		}
		select {
		case <-f.fresh:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%d of %d replicas told of revision %d: %w", len(told), replicas, revision, ctx.Err())
		}
	}
}

// propagation changes a binding again and again, with a second replica of rbac
// in a process of its own and four local SDKs, two of them by SSE.
func (f *fixture) propagation(ctx context.Context, d *Decisions) error {
	if _, err := f.startReplica(ctx, "replica"); err != nil {
		return err
	}
	seen := &feed{told: map[int64][]time.Time{}, fresh: make(chan struct{}, 1)}
	told, err := f.module[0].Subscribe(contract.FeedSubject(module, f.tenant), seen.handle)
	if err != nil {
		return err
	}
	defer func() { _ = told.Unsubscribe() }()
	if err := f.module[0].Flush(); err != nil {
		return err
	}
	var clients []*sdk.Client
	for _, cfg := range []sdk.Config{
		{NATSURL: f.core.NATSURL, APIKey: f.key}, {NATSURL: f.core.NATSURL, APIKey: f.key},
		{APIURL: f.core.HTTPURL, APIKey: f.key}, {APIURL: f.core.HTTPURL, APIKey: f.key},
	} {
		client, err := f.localClient(ctx, cfg)
		if err != nil {
			return err
		}
		clients = append(clients, client)
	}
	if _, err := kit.Call(ctx, f.core.Client, contract.CreateRole, &contract.CreateRoleRequest{
		TenantID: contract.ID(f.tenant), Name: propagatedRole, Permissions: []string{propagatedGrant},
	}); err != nil {
		return err
	}
	return f.change(ctx, seen, clients, &d.Propagation)
}

func (f *fixture) change(ctx context.Context, seen *feed, clients []*sdk.Client, p *Propagation) error {
	user, binding := f.questions[0].user, ""
	conn, err := pgx.Connect(ctx, f.database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "CREATE TABLE bench_commits (i int)"); err != nil {
		return err
	}
	var commit, answer, inReplicas, bus, sse, all, after []time.Duration
	pace := time.NewTicker(changeInterval)
	defer pace.Stop()
	for p.Changes = 0; p.Changes < changes; p.Changes++ {
		<-pace.C
		begin := time.Now()
		if _, err := conn.Exec(ctx, "INSERT INTO bench_commits VALUES (1)"); err != nil {
			return err
		}
		commit = append(commit, time.Since(begin))
		t, err := f.once(ctx, seen, clients, user, &binding)
		if err != nil {
			return err
		}
		answer, inReplicas = append(answer, t.answered), append(inReplicas, t.replicas)
		bus, sse = append(bus, max(t.sdks[0], t.sdks[1])), append(sse, max(t.sdks[2], t.sdks[3]))
		everywhere := max(t.replicas, slices.Max(t.sdks[:]))
		all, after = append(all, everywhere), append(after, max(0, everywhere-t.answered))
	}
	p.Commit, p.After = latency(commit), latency(after)
	p.Answer, p.Replicas, p.Bus, p.SSE, p.All = latency(answer), latency(inReplicas), latency(bus), latency(sse), latency(all)
	return nil
}

// reached is when one change decided where, from its request on.
type reached struct {
	answered, replicas time.Duration
	sdks               [4]time.Duration
}

func (f *fixture) once(ctx context.Context, seen *feed, clients []*sdk.Client, user string, binding *string) (t reached, err error) {
	ctx, cancel := context.WithTimeout(ctx, changePatience)
	defer cancel()
	decided, want := make(chan [4]time.Duration, 1), *binding == ""
	begin := time.Now()
	go func() { decided <- f.untilDecided(ctx, clients, user, want, begin) }()
	revision, err := f.turn(ctx, user, binding)
	if err != nil {
		return t, err
	}
	t.answered = time.Since(begin)
	at, err := seen.await(ctx, revision)
	if err != nil {
		return t, err
	}
	t.replicas, t.sdks = at.Sub(begin), <-decided
	if slices.Contains(t.sdks[:], 0) {
		return t, errors.New("a local SDK did not come to decide as was changed")
	}
	return t, nil
}

// turn makes the binding, or removes it.
func (f *fixture) turn(ctx context.Context, user string, binding *string) (revision int64, err error) {
	if *binding == "" {
		made, err := kit.Call(ctx, f.core.Client, contract.CreateBinding, &contract.CreateBindingRequest{
			TenantID: contract.ID(f.tenant), UserID: contract.ID(user), Role: propagatedRole,
		})
		if err != nil {
			return 0, err
		}
		*binding = made.ID
		return made.Revision, nil
	}
	gone, err := kit.Call(ctx, f.core.Client, contract.DeleteBinding, &contract.DeleteBindingRequest{
		TenantID: contract.ID(f.tenant), BindingID: contract.ID(*binding),
	})
	if err != nil {
		return 0, err
	}
	*binding = ""
	return gone.Revision, nil
}

// untilDecided asks the SDKs in turn, ten times a millisecond at most, and
// returns after how long each decided locally as it should; 0 for one that did
// not until ctx ended.
func (f *fixture) untilDecided(ctx context.Context, clients []*sdk.Client, user string, want bool, begin time.Time) (took [4]time.Duration) {
	for left := len(clients); left > 0 && ctx.Err() == nil; time.Sleep(100 * time.Microsecond) {
		for i, client := range clients {
			if took[i] != 0 {
				continue
			}
			d, err := client.Decide(ctx, user, propagatedGrant, sdk.InTenant(f.tenant))
			if err == nil && d.Local && d.Allowed == want {
				took[i] = time.Since(begin)
				left--
			}
		}
	}
	return took
}

func (p Propagation) print() {
	if p.Changes == 0 {
		return
	}
	fmt.Fprintf(os.Stdout, "\n| %d changes, 50 a second, from the request being sent | p50 ms | p99 ms |\n|---|--:|--:|\n", p.Changes)
	for _, line := range []struct {
		name string
		took Latency
	}{
		{"a raw commit of one row between them", p.Commit}, {"until it is answered: committed", p.Answer}, {"until 2 replicas of rbac decide so", p.Replicas},
		{"until 2 local SDKs on the bus do", p.Bus}, {"until 2 local SDKs by SSE do", p.SSE}, {"until all do", p.All},
		{"from the answer until all do", p.After},
	} {
		fmt.Fprintf(os.Stdout, "| %s | %.1f | %.1f |\n", line.name, line.took.P50, line.took.P99)
	}
}
