package kit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// These tests are of package events. They stand here because they need a
// server, and events, which the SDK's users get, must not know one.

func stream(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

// event is one of service tenant, told apart by its revision.
func event(t testing.TB, revision int) events.Event {
	t.Helper()
	e, err := events.New(events.TenantChanged, "t1", int64(revision), map[string]int{"n": revision})
	require.NoError(t, err)
	return e
}

// reader collects the revisions of the events that it is given.
type reader struct {
	mu     sync.Mutex
	seen   []string
	errors []error
}

func (r *reader) take(e events.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, events.Extension(e, events.Revision))
}

func (r *reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, err)
}

func (r *reader) revisions() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func (r *reader) troubles() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.errors)
}

// awaits that the reader has seen just these, in this order.
func (r *reader) awaits(t testing.TB, want []string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.revisions()) >= len(want) }, limit, time.Millisecond, "%v of %v", r.revisions(), want)
	require.Equal(t, want, r.revisions())
}

func upTo(from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func publish(t testing.TB, js jetstream.JetStream, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		e := event(t, i)
		require.Eventually(t, func() bool { // one try may go to a server that is just leaving
			ctx, cancel := context.WithTimeout(bounded(t), time.Second)
			defer cancel()
			return events.Publish(ctx, js, e, e.ID()) == nil
		}, limit, time.Millisecond)
	}
}

func TestEnsureIsIdempotentAndConcurrent(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	var all sync.WaitGroup
	failures := make(chan error, 100)
	for _, user := range []string{natsconn.Tenant, natsconn.RBAC, natsconn.Audit} {
		js := stream(t, b.user(user))
		for range 4 {
			all.Go(func() { failures <- events.Ensure(bounded(t), js, events.EventsStream, 0) })
		}
		if user == natsconn.Audit {
			all.Go(func() { failures <- events.Ensure(bounded(t), js, events.AuditStream, 1) })
		}
	}
	all.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	js := stream(t, b.user(natsconn.Tenant))
	publish(t, js, 1, 1)
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	s, err := stream(t, b.user(natsconn.Operator)).Stream(bounded(t), events.EventsStream)
	require.NoError(t, err)
	info := s.CachedInfo()
	require.EqualValues(t, 1, info.State.Msgs, "what is stored stays")
	require.Equal(t, jetstream.FileStorage, info.Config.Storage)
	require.Equal(t, jetstream.DiscardOld, info.Config.Discard)
	require.True(t, info.Config.DenyDelete && info.Config.DenyPurge)
	require.Positive(t, info.Config.MaxBytes)
	require.Equal(t, 2*time.Minute, info.Config.Duplicates)
	require.Error(t, s.Purge(bounded(t)), "nobody empties a stream")
	require.Error(t, s.DeleteMsg(bounded(t), 1))
}

func TestPublishingTwiceUnderOneIDStoresOnce(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	first, second := event(t, 1), event(t, 2)
	require.NoError(t, events.Publish(bounded(t), js, first, "id"))
	require.NoError(t, events.Publish(bounded(t), js, second, "id"))
	require.NoError(t, events.Publish(bounded(t), js, first, "another"))
	s, err := stream(t, b.user(natsconn.Operator)).Stream(bounded(t), events.EventsStream)
	require.NoError(t, err)
	require.EqualValues(t, 2, s.CachedInfo().State.Msgs)
	msg, err := s.GetMsg(bounded(t), 1)
	require.NoError(t, err)
	stored, err := events.Decode(msg.Header, msg.Data)
	require.NoError(t, err)
	require.Equal(t, first.ID(), stored.ID(), "the first stays")
	// A subject that no stream holds is an error, not a loss.
	astray, err := events.Make("t", "/s", "core.tenant.nowhere", nil, nil)
	require.NoError(t, err)
	require.Error(t, events.Publish(bounded(t), js, astray, "x"))
}

func TestAFollowerSeesAllThatCameAfterItInOrder(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	publish(t, js, 1, 3) // before
	var r, other reader
	f, err := events.Follow(bounded(t), js, events.EventsStream, []string{events.TenantChanged.Subject("*")}, r.take, r.fail)
	require.NoError(t, err)
	g, err := events.Follow(bounded(t), stream(t, b.user(natsconn.RBAC)), events.EventsStream,
		[]string{events.UserChanged.Subject("*"), events.TenantChanged.Subject("t1")}, other.take, other.fail)
	require.NoError(t, err)
	defer g.Stop()
	foreign, err := events.New(events.ModuleChanged, "t1", 1, nil)
	require.NoError(t, err)
	require.NoError(t, events.Publish(bounded(t), js, foreign, "foreign"))
	publish(t, js, 4, 60)
	r.awaits(t, upTo(4, 60))
	other.awaits(t, upTo(4, 60))
	require.Zero(t, r.troubles())

	f.Stop()
	f.Stop()
	publish(t, js, 61, 65)
	other.awaits(t, upTo(4, 65))
	require.Len(t, r.revisions(), 57, "stopped")
	var none *events.Follower
	none.Stop()
}

func TestAFollowerPassesOverWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	var r reader
	f, err := events.Follow(bounded(t), js, events.EventsStream, nil, r.take, r.fail)
	require.NoError(t, err)
	defer f.Stop()
	for _, header := range []nats.Header{nil, {"content-type": {"application/cloudevents+json"}}, {"ce-id": {"1"}}} {
		_, err := js.PublishMsg(bounded(t), &nats.Msg{
			Subject: events.TenantChanged.Subject("t1"), Header: header,
			Data: []byte(`{"data_base64":5,"specversion":"1.0","id":"1","type":"t","source":"/s"}`),
		})
		require.NoError(t, err)
	}
	publish(t, js, 1, 2)
	r.awaits(t, upTo(1, 2))
	require.Equal(t, 3, r.troubles())
}

func TestAFollowerWaitsForAStreamThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	var r reader
	following := make(chan *events.Follower, 1)
	failed := make(chan error, 1)
	go func() {
		f, err := events.Follow(bounded(t), stream(t, b.user(natsconn.RBAC)), events.EventsStream, nil, r.take, r.fail)
		failed <- err
		following <- f
	}()
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	require.NoError(t, <-failed)
	publish(t, js, 1, 3)
	r.awaits(t, upTo(1, 3))
	(<-following).Stop()

	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := events.Follow(ctx, stream(t, b.user(natsconn.Audit)), events.AuditStream, nil, r.take, r.fail)
	require.Error(t, err, "it ends with its context")
}

func TestAFollowerGoesOnAfterTheServersRestart(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	publish(t, js, 1, 2)
	var before, idle reader
	follow := func(r *reader) *events.Follower {
		f, err := events.Follow(bounded(t), stream(t, b.user(natsconn.RBAC)), events.EventsStream, nil, r.take, r.fail)
		require.NoError(t, err)
		return f
	}
	f := follow(&before)
	defer f.Stop()
	publish(t, js, 3, 10)
	before.awaits(t, upTo(3, 10))
	g := follow(&idle) // has seen nothing yet when the server goes
	defer g.Stop()

	address := b.address()
	b.stop()
	b.start(address)
	require.Eventually(t, func() bool { return js.Conn().IsConnected() }, limit, time.Millisecond)
	publish(t, js, 11, 20)
	// The first to publish again may do so before the followers are back.
	before.awaits(t, upTo(3, 20))
	idle.awaits(t, upTo(11, 20))
}

func TestAFollowerWhoseConnectionEndedCanBeStopped(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	nc := b.user(natsconn.Tenant)
	js := stream(t, nc)
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	var r reader
	f, err := events.Follow(bounded(t), js, events.EventsStream, nil, r.take, r.fail)
	require.NoError(t, err)
	nc.Close()
	stopped := make(chan struct{})
	go func() { f.Stop(); f.Stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(limit):
		t.Fatal("Stop hangs")
	}
}
