package kit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// parallel consumes as service rbac, four events at once, an order for each
// tenant.
func parallel(t testing.TB, js jetstream.JetStream, change func(*events.ConsumeConfig), handle events.Handler, onError func(error)) *events.Consumer {
	t.Helper()
	cfg := events.ConsumeConfig{
		Stream: events.EventsStream, Durable: "rbac_lanes", Subjects: []string{events.TenantChanged.Subject("*")},
		AckWait: time.Second, Parallel: 4,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := events.Consume(bounded(t), js, cfg, handle, onError)
	require.NoError(t, err)
	t.Cleanup(func() { c.Stop(bounded(t)) })
	return c
}

// publishOf publishes events of a tenant with these revisions.
func publishOf(t testing.TB, js jetstream.JetStream, tenant string, from, to int) {
	t.Helper()
	var all []events.Outgoing
	for i := from; i <= to; i++ {
		e, err := events.New(events.TenantChanged, tenant, int64(i), nil)
		require.NoError(t, err)
		all = append(all, events.Outgoing{Event: e, ID: e.ID()})
	}
	_, err := events.PublishBatch(bounded(t), js, all)
	require.NoError(t, err)
}

// byTenant keeps a reader a tenant.
type byTenant struct {
	mu  sync.Mutex
	all map[string]*reader
}

func (b *byTenant) of(tenant string) *reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[string]*reader{}
	}
	if b.all[tenant] == nil {
		b.all[tenant] = &reader{}
	}
	return b.all[tenant]
}

func (b *byTenant) take(e events.Event) { b.of(events.Extension(e, events.TenantID)).take(e) }

func TestAKeysEventsAreInOrderAndKeysDoNotWaitForOneAnother(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	for round := range 5 {
		for tenant := range 8 {
			publishOf(t, js, fmt.Sprint("t", tenant), round*10+1, round*10+10)
		}
	}
	var seen byTenant
	var atOnce, most atomic.Int32
	together := make(chan struct{})
	var once sync.Once
	parallel(t, stream(t, b.user(natsconn.RBAC)), nil, func(_ context.Context, e events.Event) error {
		n := atOnce.Add(1)
		defer atOnce.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == 4 {
			once.Do(func() { close(together) })
		}
		<-together // four different keys are in work
		seen.take(e)
		return nil
	}, func(err error) { seen.of("errors").fail(err) })
	for tenant := range 8 {
		seen.of(fmt.Sprint("t", tenant)).awaits(t, upTo(1, 50))
	}
	require.EqualValues(t, 4, most.Load())
	require.Zero(t, seen.of("errors").troubles())
}

func TestAKeyThatFailsHoldsUpNoOtherAndIsGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	audit := stream(t, b.user(natsconn.Audit))
	require.NoError(t, events.Ensure(bounded(t), audit, events.DeadStream, 1))
	publishOf(t, js, "bad", 1, 3)
	_, err := js.PublishMsg(bounded(t), &nats.Msg{Subject: events.TenantChanged.Subject("bad"), Data: []byte("poison")})
	require.NoError(t, err)
	for tenant := range 5 {
		publishOf(t, js, fmt.Sprint("t", tenant), 1, 20)
	}
	var seen byTenant
	var tries atomic.Int32
	othersDone := make(chan struct{})
	rbac := stream(t, b.user(natsconn.RBAC))
	parallel(t, rbac, func(cfg *events.ConsumeConfig) {
		cfg.MaxTries, cfg.GivenUp = 3, events.NewDeadLetters(rbac)
	}, func(_ context.Context, e events.Event) error {
		if events.Extension(e, events.TenantID) == "bad" && events.Extension(e, events.Revision) == "2" {
			if tries.Add(1) == 3 {
				<-othersDone // the last try waits for all others
			}
			return errors.New("it cannot\nbe")
		}
		seen.take(e)
		return nil
	}, func(err error) { seen.of("errors").fail(err) })
	for tenant := range 5 {
		seen.of(fmt.Sprint("t", tenant)).awaits(t, upTo(1, 20))
	}
	require.Equal(t, []string{"1"}, seen.of("bad").revisions(), "what is behind it waits")
	close(othersDone)
	seen.of("bad").awaits(t, []string{"1", "3"})
	require.EqualValues(t, 3, tries.Load())

	letters := events.NewDeadLetters(audit)
	var all []events.DeadLetter
	require.Eventually(t, func() bool {
		all, err = letters.List(bounded(t), "rbac_lanes", 0, 10)
		return err == nil && len(all) == 2
	}, limit, time.Millisecond)
	require.Equal(t, "poison", string(all[0].Data))
	_, err = all[0].Event()
	require.ErrorIs(t, err, events.ErrMalformed)
	e, err := all[1].Event()
	require.NoError(t, err)
	require.Equal(t, "2", events.Extension(e, events.Revision))
	require.Equal(t, 3, all[1].Tries)
	require.Contains(t, all[1].Reason, "it cannot be")
	require.Equal(t, events.EventsStream, all[1].Stream)
	require.EqualValues(t, 2, all[1].Sequence)
	require.Equal(t, events.TenantChanged.Subject("bad"), all[1].Subject)
	second, err := letters.List(bounded(t), "rbac_lanes", all[0].ID, 10)
	require.NoError(t, err)
	require.Equal(t, all[1:], second)
	none, err := letters.List(bounded(t), "rbac_other", 0, 10)
	require.NoError(t, err)
	require.Empty(t, none)

	// The cause is gone: handled again, what succeeds is forgotten.
	var again reader
	done, err := letters.Replay(bounded(t), "rbac_lanes", func(_ context.Context, e events.Event) error {
		again.take(e)
		return nil
	})
	require.ErrorContains(t, err, "malformed")
	require.Equal(t, 1, done)
	require.Equal(t, []string{"2"}, again.revisions())
	left, err := letters.List(bounded(t), "rbac_lanes", 0, 10)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoError(t, letters.Remove(bounded(t), left[0].ID))
	short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	require.Error(t, events.NewDeadLetters(rbac).Remove(short, left[0].ID), "only audit and the operator remove")
}

func TestAnotherProcessGoesOnInTheKeysOrder(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	publishOf(t, js, "t1", 1, 4)
	dying, begun := b.user(natsconn.RBAC), make(chan struct{}, 10)
	killed := parallel(t, stream(t, dying), nil, func(ctx context.Context, _ events.Event) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}, func(error) {})
	<-begun
	var seen byTenant
	next := parallel(t, stream(t, b.user(natsconn.RBAC)), nil, func(_ context.Context, e events.Event) error {
		seen.take(e)
		return nil
	}, func(err error) { seen.of("errors").fail(err) })
	publishOf(t, js, "t1", 5, 8)
	require.Empty(t, seen.of("t1").revisions(), "one process at a time")
	dying.Close()
	publishOf(t, js, "t1", 9, 10)
	seen.of("t1").awaits(t, upTo(1, 10))

	// One that stops gives back what it holds, and its place at once.
	next.Stop(bounded(t))
	publishOf(t, js, "t1", 11, 20)
	parallel(t, stream(t, b.user(natsconn.RBAC)), nil, func(_ context.Context, e events.Event) error {
		seen.take(e)
		return nil
	}, func(err error) { seen.of("errors").fail(err) })
	seen.of("t1").awaits(t, upTo(1, 20))
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	killed.Stop(ended)
}

func TestStoppingGivesBackWhatWaits(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	publishOf(t, js, "t1", 1, 20)
	var first, second byTenant
	begun, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c := parallel(t, stream(t, b.user(natsconn.RBAC)), nil, func(_ context.Context, e events.Event) error {
		once.Do(func() { close(begun) })
		<-goOn
		first.take(e)
		return nil
	}, func(error) {})
	<-begun
	stopped := make(chan struct{})
	go func() { c.Stop(bounded(t)); close(stopped) }()
	close(goOn)
	<-stopped
	handled := len(first.of("t1").revisions())
	require.GreaterOrEqual(t, handled, 1, "what is in work is finished")
	parallel(t, stream(t, b.user(natsconn.RBAC)), nil, func(_ context.Context, e events.Event) error {
		second.take(e)
		return nil
	}, func(error) {})
	second.of("t1").awaits(t, upTo(handled+1, 20))
}

// A consumer that somebody else makes, as the core does for modules, is used as it
// is, and asked for again when it is gone.
func TestAProvidedConsumerIsAskedForAndUsedAsItIs(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Audit))
	require.NoError(t, events.Ensure(bounded(t), js, events.GrantedStream, 1))
	give := func(module, tenant string, from, to int) {
		for revision := from; revision <= to; revision++ {
			e, err := events.New(events.TenantChanged, tenant, int64(revision), nil)
			require.NoError(t, err)
			msg, err := events.Encode(e)
			require.NoError(t, err)
			msg.Header.Set(nats.MsgIdHdr, e.ID())
			require.NoError(t, events.PublishCopies(bounded(t), js, []*nats.Msg{events.Copy(module, msg.Subject, 1, msg.Header, msg.Data)}))
		}
	}
	var asked atomic.Int32
	var seen byTenant
	for _, parallel := range []int{0, 2} {
		seen, asked = byTenant{}, atomic.Int32{}
		module := fmt.Sprint("crm", parallel)
		c, err := events.Consume(bounded(t), js, events.ConsumeConfig{
			Stream: events.GrantedStream, Durable: events.GrantedConsumer(module, nil), Parallel: parallel,
			Provide: func(ctx context.Context) error {
				asked.Add(1)
				_, _, err := events.EnsureGrantedConsumer(ctx, js, module, nil, true)
				return err
			},
		}, func(_ context.Context, e events.Event) error {
			seen.take(e)
			return nil
		}, func(error) {})
		require.NoError(t, err)
		give(module, "t1", 1, 30)
		give("other", "t1", 50, 50)
		seen.of("t1").awaits(t, upTo(1, 30))
		require.EqualValues(t, 1, asked.Load())
		require.NoError(t, js.DeleteConsumer(bounded(t), events.GrantedStream, events.GrantedConsumer(module, nil)))
		require.Eventually(t, func() bool { return asked.Load() > 1 }, limit, time.Millisecond)
		give(module, "t2", 1, 3)
		seen.of("t2").awaits(t, upTo(1, 3))
		c.Stop(bounded(t))
	}
}

func TestAnOrderedConsumerGivesUpToo(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	publish(t, js, 1, 3)
	r, given := &reader{}, make(chan events.DeadLetter, 1)
	c, err := events.Consume(bounded(t), stream(t, b.user(natsconn.RBAC)), events.ConsumeConfig{
		Stream: events.EventsStream, Durable: "rbac_test", Subjects: []string{events.TenantChanged.Subject("*")}, MaxTries: 2, GivenUp: keeper(given),
	}, func(_ context.Context, e events.Event) error {
		if events.Extension(e, events.Revision) == "2" {
			panic("not at all")
		}
		r.take(e)
		return nil
	}, r.fail)
	require.NoError(t, err)
	defer c.Stop(bounded(t))
	r.awaits(t, []string{"1", "3"})
	letter := <-given
	require.Equal(t, 2, letter.Tries)
	require.True(t, strings.Contains(letter.Reason, "not at all"))
}

type keeper chan events.DeadLetter

func (k keeper) Put(_ context.Context, l events.DeadLetter) error { k <- l; return nil }

func TestAHandlerGoesOnWithTheEventsTrace(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	tel := telemetry(t, &log{})
	ctx, span := tel.Tracer.Start(context.Background(), "the change")
	e, err := NewEvent(ctx, events.TenantChanged, "t1", 1, nil)
	span.End()
	require.NoError(t, err)
	require.Contains(t, events.Extension(e, events.Traceparent), span.SpanContext().TraceID().String())
	require.NoError(t, events.Publish(bounded(t), js, e, e.ID()))
	traces := make(chan string, 1)
	c, err := Consume(bounded(t), stream(t, b.user(natsconn.RBAC)), tel, events.ConsumeConfig{
		Stream: events.EventsStream, Durable: "rbac_test", Subjects: []string{events.TenantChanged.Subject("*")},
	}, func(ctx context.Context, _ events.Event) error {
		next, err := NewEvent(ctx, events.TenantChanged, "t1", 2, nil)
		traces <- events.Extension(next, events.Traceparent)
		return err
	})
	require.NoError(t, err)
	defer c.Stop(bounded(t))
	require.Contains(t, <-traces, span.SpanContext().TraceID().String(), "what it causes belongs to the same trace")
}
