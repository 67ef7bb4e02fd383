package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/sdk"
)

// Local are decisions in one process, by one goroutine.
type Local struct {
	Name   string  `json:"name"`
	Nanos  float64 `json:"ns"`
	Allocs int64   `json:"allocs"`
	Limit  string  `json:"limit"`
	Ratio  float64 `json:"ratio"` // of the limit's time to this one's
}

const (
	casbinName   = "Casbin `Enforce`"
	cachedName   = "Casbin `Enforce`, cached"
	mapName      = "map look-up under a read lock"
	engineName   = "engine, user with 50 roles, org scopes"
	localSDKName = "local SDK `Check`, 1,000 users"
	oneUserName  = "local SDK `Check`, one user"
)

// local measures the engine beside Casbin on the same model, and the SDK's local
// decisions beside a look-up in a map.
func (f *fixture) local(ctx context.Context) ([]Local, error) {
	o, err := newOffice()
	if err != nil {
		return nil, err
	}
	client, err := f.localClient(ctx, sdk.Config{NATSURL: f.core.NATSURL, APIKey: f.key})
	if err != nil {
		return nil, err
	}
	var wrong error
	run := func(name, limit string, work func(n int) error) Local {
		m, err := timed(name, limit, work)
		wrong = errors.Join(wrong, err)
		return m
	}
	measured := []Local{
		run(casbinName, "", func(n int) error {
			_, err := o.casbin.Enforcer.Enforce(o.questions[n%len(o.questions)].forCasbin()...)
			return err
		}),
		run(cachedName, casbinName, func(n int) error {
			_, err := o.casbin.Enforce(o.questions[n%len(o.questions)].forCasbin()...)
			return err
		}),
		run(engineName, casbinName, func(n int) error {
			o.engine.Policy(o.tenant).Check(o.questions[n%len(o.questions)].Question, decision.Now)
			return nil
		}),
		run(mapName, "", f.lookUp()),
		run(localSDKName, mapName, f.localCheck(ctx, client, f.questions)),
		run(oneUserName, "", f.localCheck(ctx, client, f.questions[:questions/users])),
	}
	again := measured[2]
	again.Limit = cachedName
	measured = append(measured[:3], append([]Local{again}, measured[3:]...)...)
	nanos := map[string]float64{}
	for i, m := range measured {
		nanos[m.Name] = m.Nanos
		if m.Limit != "" {
			measured[i].Ratio = nanos[m.Limit] / m.Nanos
		}
	}
	return measured, wrong
}

// How often, and for how long, a call is repeated.
const (
	fastestOf = 7
	repeated  = 200 * time.Millisecond
)

// timed measures one call after the other. The fastest of some runs counts:
// what disturbs a run makes it slower, never faster. Answers have been compared
// before, or work does so.
func timed(name, limit string, work func(n int) error) (Local, error) {
	m := Local{Name: name, Limit: limit, Nanos: math.Inf(1)}
	calls := 0
	for range fastestOf {
		begin, before := time.Now(), calls
		for time.Since(begin) < repeated {
			for range 100 {
				if err := work(calls); err != nil {
					return m, fmt.Errorf("%s: %w", name, err)
				}
				calls++
			}
		}
		m.Nanos = min(m.Nanos, float64(time.Since(begin).Nanoseconds())/float64(calls-before))
	}
	m.Allocs = int64(testing.AllocsPerRun(100, func() { _ = work(calls) })) // it did not fail before
	return m, nil
}

// localClient is an SDK that decides locally.
func (f *fixture) localClient(ctx context.Context, cfg sdk.Config) (*sdk.Client, error) {
	client, err := sdk.New(ctx, cfg, sdk.WithLocalDecisions(sdk.LocalDecisions{}))
	if err != nil {
		return nil, err
	}
	f.stack.Push("local SDK", func(context.Context) error { return client.Close() })
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return client, client.AwaitLocal(ctx)
}

// localCheck asks the SDK what the bus is asked too. An answer that was not
// found locally is a failure: it would be measured as if it had been.
func (f *fixture) localCheck(ctx context.Context, client *sdk.Client, about []question) func(int) error {
	wrong, remote := errors.New("wrong answer"), errors.New("not decided locally")
	return func(n int) error {
		q := &about[n%len(about)]
		d, err := client.Decide(ctx, q.user, q.permission, sdk.InTenant(f.tenant))
		switch {
		case err != nil:
			return err
		case d.Allowed != q.allowed:
			return wrong
		case !d.Local:
			return remote
		}
		return nil
	}
}

// lookUp is the least that a cache of decisions does.
func (f *fixture) lookUp() func(int) error {
	type key struct{ tenant, user, permission string }
	var mu sync.RWMutex
	known := map[key]bool{}
	for _, q := range f.questions {
		known[key{f.tenant, q.user, q.permission}] = q.allowed
	}
	wrong := errors.New("wrong answer")
	return func(n int) error {
		q := &f.questions[n%len(f.questions)]
		mu.RLock()
		allowed := known[key{f.tenant, q.user, q.permission}]
		mu.RUnlock()
		if allowed != q.allowed {
			return wrong
		}
		return nil
	}
}
