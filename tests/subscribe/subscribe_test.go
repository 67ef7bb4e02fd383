// Package subscribe holds the core to what it promises modules of their events, over
// both transports.
package subscribe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// modes are the ways to run the core, transports those to it.
var (
	modes = map[string]func(testing.TB) *stack.Stack{
		"one process": stack.OneProcess, "separate processes": stack.Processes,
	}
	transports = []string{"nats", "http"}
)

// scope is what the module of each test subscribes to.
const scope = "events:tenant.unit.*"

// publish takes a module through the registry, for two tenants to install.
func publish(t *testing.T, c *stack.Company) (module string) {
	t.Helper()
	module = fmt.Sprintf("s%08x", rand.Uint32())
	manifest := stack.Scopes(scope)
	manifest["events"] = map[string]any{"subscribes": []string{"tenant.unit.*"}}
	c.Publish(t, module, "1.0.0", manifest)
	return module
}

// subscriber is a process of a module.
type subscriber struct {
	t         testing.TB
	line      *stack.Line
	transport string
	client    *sdk.Client
	place     place

	mu   sync.Mutex
	got  []contract.OrgUnit
	of   []string // the tenants of got
	news chan struct{}
	end  func()
}

// place is an sdk.Place in memory.
type place struct {
	mu    sync.Mutex
	saved string
}

func (p *place) Load(context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.saved, nil
}

func (p *place) Save(_ context.Context, saved string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved = saved
	return nil
}

func connect(t testing.TB, s *stack.Stack, transport, key string) *subscriber {
	t.Helper()
	m := &subscriber{t: t, transport: transport, news: make(chan struct{}, 1)}
	config := sdk.Config{APIKey: key}
	if transport == "nats" {
		m.line = stack.NewLine(t, s.NATSURL)
		config.NATSURL = m.line.URL
	} else {
		m.line = stack.NewLine(t, s.HTTPURL)
		config.APIURL = m.line.URL
	}
	var err error
	m.client, err = sdk.New(stack.Context(t), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.client.Close()) })
	m.start(sdk.Subscription{})
	return m
}

// start subscribes until stop is called, or the test ends.
func (m *subscriber) start(s sdk.Subscription) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	if m.transport == "http" {
		s.Place = &m.place
	}
	s.FromStart = true
	mux := events.NewMux()
	events.On(mux, events.UnitChanged, func(_ context.Context, e events.Event, unit contract.OrgUnit) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.got, m.of = append(m.got, unit), append(m.of, events.Extension(e, events.TenantID))
		select {
		case m.news <- struct{}{}:
		default:
		}
		return nil
	})
	go func() { ended <- m.client.Subscribe(ctx, s, mux.Handle) }()
	m.end = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.ErrorIs(m.t, err, context.Canceled)
		case <-time.After(stack.Timeout):
			require.Fail(m.t, "the subscription goes on")
		}
	})
	m.t.Cleanup(m.end)
}

// seen is what came, each once, in the order in which it came first.
func (m *subscriber) seen() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, unit := range m.got {
		if !slices.Contains(ids, unit.ID) {
			ids = append(ids, unit.ID)
		}
	}
	return ids
}

// awaits holds that these units came, in this order, and no others.
func (m *subscriber) awaits(want []string) {
	m.t.Helper()
	after := time.After(2 * stack.Timeout)
	for {
		got := m.seen()
		if len(got) >= len(want) {
			require.Equal(m.t, want, got, m.transport)
			return
		}
		select {
		case <-m.news:
		case <-after:
			require.Equal(m.t, want, got, m.transport)
			return
		}
	}
}

func (m *subscriber) tenants() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	of := slices.Clone(m.of)
	slices.Sort(of)
	return slices.Compact(of)
}

// companies creates companies in a tenant, one after the other.
func companies(t testing.TB, s *stack.Stack, c *stack.Company, n int) (ids []string) {
	t.Helper()
	for range n {
		code := fmt.Sprintf("C%08x", rand.Uint32())
		unit := stack.Do(t, s, contract.CreateUnit, &contract.CreateUnitRequest{TenantID: contract.ID(c.Tenant.ID), Kind: contract.Company, Code: code, Name: code})
		ids = append(ids, unit.ID)
	}
	return ids
}

func key(t testing.TB, s *stack.Stack, module string, tenants ...string) string {
	return stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{Module: module, Environment: "dev", Tenants: tenants, RateClass: "bulk"}).APIKey
}

// settled waits until what happens in the tenant is given to the module: grants
// arrive by event. It returns the units that it made to see that and were given.
func settled(t testing.TB, s *stack.Stack, c *stack.Company, m *subscriber) (ids []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		last := companies(t, s, c, 1)[0]
		ids = append(ids, last)
		for after := time.After(time.Second); ; {
			if slices.Contains(m.seen(), last) {
				return true
			}
			select {
			case <-m.news:
			case <-after:
				return false
			}
		}
	}, stack.Timeout, time.Millisecond)
	got := m.seen()
	return slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(got, id) })
}

func TestAModuleHearsWhatItIsGrantedOverBothTransports(t *testing.T) {
	t.Parallel()
	for name, start := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			ours, theirs := s.Company(t), s.Company(t)
			module := publish(t, ours)
			ours.Install(t, module, "", scope)
			all := key(t, s, module)
			readers := map[string]*subscriber{}
			for _, transport := range transports {
				readers[transport] = connect(t, s, transport, all)
			}
			elsewhere := connect(t, s, "http", key(t, s, module, theirs.Tenant.ID))
			onTheBus := connect(t, s, "nats", key(t, s, module, theirs.Tenant.ID))

			want := settled(t, s, ours, readers["http"])
			companies(t, s, theirs, 3)
			want = append(want, companies(t, s, ours, 20)...)
			for _, m := range readers {
				m.awaits(want)
				require.Equal(t, []string{ours.Tenant.ID}, m.tenants())
			}
			require.Empty(t, elsewhere.seen())
			require.Empty(t, onTheBus.seen())

			// Whoever was away goes on where it was.
			for _, m := range readers {
				m.end()
			}
			want = append(want, companies(t, s, ours, 3)...)
			for _, m := range readers {
				m.start(sdk.Subscription{Parallel: 4})
				m.awaits(want)
			}

			// What is withdrawn is not heard, and what was kept is taken back.
			readers["nats"].end()
			kept := companies(t, s, ours, 1)
			readers["http"].awaits(append(want, kept...))
			stack.Do(t, s, contract.DisableModule, &contract.ChangeModule{TenantID: contract.ID(ours.Tenant.ID), ModuleName: module})
			late := connect(t, s, "http", all)
			require.Eventually(t, func() bool { // a reader from the start hears nothing once it is taken back
				late.end()
				late.mu.Lock()
				late.got, late.place.saved = nil, ""
				late.mu.Unlock()
				late.start(sdk.Subscription{})
				select {
				case <-late.news:
					return false
				case <-time.After(300 * time.Millisecond):
					return len(late.seen()) == 0
				}
			}, stack.Timeout, time.Millisecond, "it is still given")
			other := publish(t, ours)
			ours.Install(t, other, "", scope)
			witness := connect(t, s, "http", key(t, s, other))
			settled(t, s, ours, witness) // what came before was given, to whom it may be
			readers["nats"].start(sdk.Subscription{})
			stack.Do(t, s, contract.EnableModule, &contract.ChangeModule{TenantID: contract.ID(ours.Tenant.ID), ModuleName: module})
			again := settled(t, s, ours, readers["nats"])
			readers["nats"].awaits(append(want, again...))
			readers["http"].awaits(slices.Concat(want, kept, again))
		})
	}
}

// Each event comes, in order, whatever is restarted.
func TestNoEventIsLostWhateverRestarts(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	module := publish(t, c)
	c.Install(t, module, "", scope)
	all := key(t, s, module)
	var readers []*subscriber
	for _, transport := range transports {
		readers = append(readers, connect(t, s, transport, all))
	}
	want := settled(t, s, c, readers[0])
	for name, restart := range map[string]func(){
		"audit is killed": func() {
			s.Processes["audit"].Kill()
			want = append(want, companies(t, s, c, 5)...)
			s.Processes["audit"].Start()
		},
		"the bridge restarts": func() {
			s.Processes["httpbridge"].Stop()
			want = append(want, companies(t, s, c, 5)...)
			s.Processes["httpbridge"].Start()
			s.HTTPURL = s.Processes["httpbridge"].HTTPURL
			readers[1].line.MoveTo(t, s.HTTPURL)
		},
		"the bus is killed": func() {
			s.Bus.Kill()
			s.Bus.Start()
		},
		"the line is cut": func() {
			for _, m := range readers {
				m.line.Cut(true)
			}
			want = append(want, companies(t, s, c, 5)...)
			for _, m := range readers {
				m.line.Cut(false)
			}
		},
		"another replica of audit works": func() {
			second := s.Replica(t, "audit")
			s.Processes["audit"].Kill()
			want = append(want, companies(t, s, c, 5)...)
			s.Processes["audit"].Start()
			second.Terminate()
		},
	} {
		restart()
		require.Eventually(t, func() bool { // the services are back
			code := fmt.Sprintf("C%08x", rand.Uint32())
			ctx, cancel := context.WithTimeout(stack.Context(t), stack.Timeout)
			defer cancel()
			unit, err := kit.Call(ctx, s.Core, contract.CreateUnit, &contract.CreateUnitRequest{TenantID: contract.ID(c.Tenant.ID), Kind: contract.Company, Code: code, Name: code})
			if err != nil {
				return false
			}
			want = append(want, unit.ID)
			return true
		}, 2*stack.Timeout, 20*time.Millisecond, name)
		for _, m := range readers {
			m.awaits(want)
		}
		t.Log(name, len(want))
	}
}

// A handler that fails holds up its key alone, and is given up when that is asked
// for.
func TestAnEventThatCannotBeHandledIsGivenUp(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	module := publish(t, c)
	c.Install(t, module, "", scope)
	all := key(t, s, module)
	for _, transport := range transports {
		m := connect(t, s, transport, all)
		settled(t, s, c, m)
		m.end()
		letters, handled := make(chan events.DeadLetter, 10), make(chan string, 10)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		poison := companies(t, s, c, 3)
		go func() {
			ended <- m.client.Subscribe(ctx, sdk.Subscription{MaxTries: 2, GivenUp: keeper(letters), FromStart: true, Place: &m.place}, func(_ context.Context, e events.Event) error {
				unit, err := events.Data[contract.OrgUnit](e)
				if err != nil {
					return err
				}
				if unit.ID == poison[1] {
					return errors.New("not this one")
				}
				handled <- unit.ID
				return nil
			})
		}()
		require.Equal(t, []string{poison[0], poison[2]}, []string{<-handled, <-handled}, transport)
		letter := <-letters
		require.Equal(t, 2, letter.Tries)
		require.Contains(t, letter.Reason, "not this one")
		e, err := letter.Event()
		require.NoError(t, err)
		unit, err := events.Data[contract.OrgUnit](e)
		require.NoError(t, err)
		require.Equal(t, poison[1], unit.ID)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

type keeper chan events.DeadLetter

func (k keeper) Put(_ context.Context, l events.DeadLetter) error {
	k <- l
	return nil
}
