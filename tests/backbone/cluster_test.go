package backbone

import (
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/tests/stack"
)

// Batches and their sequences in three replicas: the servers then take another
// way to store them.
func TestBatchesInACluster(t *testing.T) {
	t.Parallel()
	s := stack.Layout{Servers: 3}.Start(t)
	nc, err := natsconn.Connect(stack.Context(t), natsconn.Config{
		URL: s.NATSURL, User: natsconn.Audit, SeedFile: natsserver.SeedFile(s.Credentials, natsconn.Audit),
	})
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	const tenant = "0190f5c2-0000-7000-8000-000000000001"
	event := func() events.Event {
		e, err := events.New(events.WebhookTest, tenant, 0, events.WebhookChange{ID: tenant, Change: "tested"})
		require.NoError(t, err)
		return e
	}
	var all []events.Outgoing
	for range 700 {
		e := event()
		all = append(all, events.Outgoing{Event: e, ID: e.ID()})
	}
	first, err := events.PublishBatch(stack.Context(t), js, all)
	require.NoError(t, err)
	again, err := events.PublishBatch(stack.Context(t), js, all[650:])
	require.NoError(t, err)
	require.Equal(t, first[650:], again)

	g := events.NewGroup(js)
	var callers sync.WaitGroup
	var mu sync.Mutex
	byPlace := map[uint64]string{}
	for range 200 {
		callers.Go(func() {
			e := event()
			sequence, err := g.Publish(stack.Context(t), e, e.ID())
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				byPlace[sequence] = e.ID()
			}
		})
	}
	callers.Wait()
	g.Stop(stack.Context(t))
	require.Len(t, byPlace, 200)
	for i, sequence := range first {
		byPlace[sequence] = all[i].ID
	}
	require.Len(t, byPlace, 900)
	stored, err := js.OrderedConsumer(stack.Context(t), events.EventsStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{events.WebhookTest.Subject(tenant)},
	})
	require.NoError(t, err)
	reading, err := stored.Messages()
	require.NoError(t, err)
	defer reading.Stop()
	batched := 0
	for range byPlace {
		msg, err := reading.Next(jetstream.NextContext(stack.Context(t)))
		require.NoError(t, err)
		meta, err := msg.Metadata()
		require.NoError(t, err)
		require.Equal(t, byPlace[meta.Sequence.Stream], msg.Headers().Get("ce-id"), "each is told its own place")
		if msg.Headers().Get("Nats-Batch-Id") != "" {
			batched++
		}
	}
	require.Greater(t, batched, 700)
	info, err := js.Stream(stack.Context(t), events.EventsStream)
	require.NoError(t, err)
	require.Equal(t, 3, info.CachedInfo().Config.Replicas)
}
