package kit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// stored is what the stream has: the revisions, in order, and how many of the
// messages came in batches.
func stored(t testing.TB, js jetstream.JetStream) (revisions []string, batched int) {
	t.Helper()
	s, err := js.Stream(bounded(t), events.EventsStream)
	require.NoError(t, err)
	c, err := js.OrderedConsumer(bounded(t), events.EventsStream, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	for range s.CachedInfo().State.Msgs {
		msg, err := c.Next(jetstream.FetchMaxWait(limit))
		require.NoError(t, err)
		e, err := events.Decode(msg.Headers(), msg.Data())
		require.NoError(t, err)
		revisions = append(revisions, events.Extension(e, events.Revision))
		if msg.Headers().Get("Nats-Batch-Id") != "" {
			batched++
		}
	}
	return revisions, batched
}

func outgoing(t testing.TB, from, to int) (all []events.Outgoing) {
	t.Helper()
	for i := from; i <= to; i++ {
		e := event(t, i)
		all = append(all, events.Outgoing{Event: e, ID: e.ID()})
	}
	return all
}

func TestManyEventsAreStoredInTheirOrderWithTheirSequences(t *testing.T) {
	t.Parallel()
	js := stream(t, newBus(t).user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	all := outgoing(t, 1, 1203) // two full batches, one that is not, and then a few
	sequences, err := events.PublishBatch(bounded(t), js, all)
	require.NoError(t, err)
	require.Len(t, sequences, len(all))
	for i, sequence := range sequences {
		require.EqualValues(t, i+1, sequence)
	}
	few, err := events.PublishBatch(bounded(t), js, outgoing(t, 1204, 1206))
	require.NoError(t, err)
	require.Equal(t, []uint64{1204, 1205, 1206}, few)
	revisions, batched := stored(t, js)
	require.Equal(t, upTo(1, 1206), revisions)
	require.Equal(t, 1203, batched, "a few are published one by one")

	// Again, as after a crash: nothing twice, and the places that they have.
	again, err := events.PublishBatch(bounded(t), js, append(all[1190:], outgoing(t, 1207, 1220)...))
	require.NoError(t, err)
	require.EqualValues(t, 1191, again[0])
	require.EqualValues(t, 1207, again[13])
	revisions, _ = stored(t, js)
	require.Equal(t, upTo(1, 1220), revisions)
}

func TestTheFirstThatCannotBePublishedEndsTheBatch(t *testing.T) {
	t.Parallel()
	js := stream(t, newBus(t).user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	all := outgoing(t, 1, 20)
	large, err := events.New(events.TenantChanged, "t1", 0, strings.Repeat("x", 2<<20))
	require.NoError(t, err)
	all[15].Event = large
	sequences, err := events.PublishBatch(bounded(t), js, all)
	require.ErrorIs(t, err, nats.ErrMaxPayload)
	require.Len(t, sequences, 15)
	all[15].Event = event(t, 16)
	all[17].Event, err = events.New(events.UserChanged, "t1", 0, nil) // not this service's to publish
	require.NoError(t, err)
	short, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	sequences, err = events.PublishBatch(short, js, all[15:])
	require.Error(t, err)
	require.LessOrEqual(t, len(sequences), 2)
	revisions, _ := stored(t, js)
	require.Equal(t, upTo(1, 15+len(sequences)), revisions)
}

func TestAGroupAnswersEachCallerAfterItsBatch(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	g := events.NewGroup(js)
	const callers, each = 200, 5
	var all sync.WaitGroup
	var mu sync.Mutex
	places := map[uint64]int{}
	for caller := range callers {
		all.Go(func() {
			for i := range each {
				e := event(t, caller*each+i)
				sequence, err := g.Publish(bounded(t), e, e.ID())
				mu.Lock()
				if err == nil {
					places[sequence] = caller*each + i
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.Len(t, places, callers*each)
	revisions, batched := stored(t, js)
	require.Len(t, revisions, callers*each)
	for i, revision := range revisions {
		require.Equal(t, fmt.Sprint(places[uint64(i+1)]), revision, "each is told its own place")
	}
	require.Greater(t, batched, callers)

	g.Stop(bounded(t))
	g.Stop(bounded(t))
	_, err := g.Publish(bounded(t), event(t, 1), "x")
	require.ErrorIs(t, err, events.ErrStopped)
	(*events.Group)(nil).Stop(bounded(t))
}

// Whoever's event the server refuses, or knows, is no concern of the others.
func TestNobodyInAGroupFailsForAnother(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	g := events.NewGroup(js)
	defer g.Stop(bounded(t))
	known := event(t, 0)
	require.NoError(t, events.Publish(bounded(t), js, known, known.ID()))
	astray, err := events.Make("t", "/s", "core.news.m.t", nil, nil) // allowed, and in no stream
	require.NoError(t, err)
	large, err := events.New(events.TenantChanged, "t1", 0, strings.Repeat("x", 2<<20))
	require.NoError(t, err)
	var all sync.WaitGroup
	failures := make(chan error, 1000)
	for i := range 300 {
		all.Go(func() {
			e := event(t, i+1)
			_, err := g.Publish(bounded(t), e, e.ID())
			failures <- err
		})
		switch i % 100 {
		case 10:
			all.Go(func() {
				_, err := g.Publish(bounded(t), known, known.ID())
				failures <- err
			})
		case 20:
			all.Go(func() {
				if _, err := g.Publish(bounded(t), astray, "astray"); err == nil {
					failures <- errors.New("nobody has it")
				}
			})
		case 30:
			all.Go(func() {
				if _, err := g.Publish(bounded(t), large, "large"); !errors.Is(err, nats.ErrMaxPayload) {
					failures <- fmt.Errorf("large: %w", err)
				}
			})
		}
	}
	all.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	revisions, _ := stored(t, js)
	require.Len(t, revisions, 301)
}

func TestACallerWhoLeavesAGroupIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	g := events.NewGroup(js)
	address := b.address()
	b.stop()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			e := event(t, i)
			_, err := g.Publish(ctx, e, e.ID())
			require.Error(t, err)
		})
	}
	cancel()
	all.Wait()
	b.start(address)
	require.Eventually(t, func() bool { return js.Conn().IsConnected() }, limit, time.Millisecond)
	e := event(t, 1000)
	require.Eventually(t, func() bool {
		_, err := g.Publish(bounded(t), e, e.ID())
		return err == nil
	}, limit, time.Millisecond)
	ended, end := context.WithCancel(context.Background())
	end()
	g.Stop(ended)
}

// A stream that an older version made refuses batches until it is upgraded.
func TestAnOlderStreamIsUpgradedAndKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	audit := stream(t, b.user(natsconn.Audit))
	for name, subject := range map[string]string{
		events.EventsStream: "core.events.>", events.AuditStream: "core.audit.events.>", events.AccessStream: "core.access.>",
	} {
		_, err := audit.CreateStream(bounded(t), jetstream.StreamConfig{
			Name: name, Subjects: []string{subject}, MaxBytes: 64 << 20, MaxAge: time.Hour, Discard: jetstream.DiscardNew,
			Storage: jetstream.FileStorage, DenyDelete: true, DenyPurge: true, Duplicates: time.Minute,
		})
		require.NoError(t, err)
	}
	js := stream(t, b.user(natsconn.Tenant))
	_, err := events.PublishBatch(bounded(t), js, outgoing(t, 1, 20))
	require.NoError(t, err, "one by one, then")
	for range 2 {
		for _, name := range events.Streams() {
			require.NoError(t, events.Ensure(bounded(t), audit, name, 1))
		}
	}
	_, err = events.PublishBatch(bounded(t), js, outgoing(t, 21, 40))
	require.NoError(t, err)
	revisions, batched := stored(t, js)
	require.Equal(t, upTo(1, 40), revisions)
	require.Equal(t, 20, batched)
	for _, name := range events.Streams() {
		s, err := audit.Stream(bounded(t), name)
		require.NoError(t, err)
		require.True(t, s.CachedInfo().Config.AllowAtomicPublish, name)
		require.Equal(t, 2*time.Minute, s.CachedInfo().Config.Duplicates, name)
	}
}
