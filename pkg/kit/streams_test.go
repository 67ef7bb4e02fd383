package kit

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// small makes a stream that takes few messages, and a function that fills it up
// to so many percent.
func small(t testing.TB, js jetstream.JetStream, name, subject string, discard jetstream.DiscardPolicy) func(percent int) {
	t.Helper()
	const most = 64 << 10
	s, err := js.CreateStream(bounded(t), jetstream.StreamConfig{
		Name: name, Subjects: []string{subject}, MaxBytes: most, Discard: discard, Storage: jetstream.FileStorage,
	})
	require.NoError(t, err)
	return func(percent int) {
		t.Helper()
		for info := s.CachedInfo(); int(info.State.Bytes)*100/most < percent; {
			_, err := js.Publish(bounded(t), strings.Replace(subject, ">", "x.audit.y.z", 1), make([]byte, 512))
			require.NoError(t, err)
			info, err = s.Info(bounded(t))
			require.NoError(t, err)
		}
	}
}

func TestAStreamThatFillsUpIsWarnedOf(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Audit))
	fill := small(t, js, events.AuditStream, "core.audit.events.>", jetstream.DiscardNew)
	logs := &log{}
	w, now := NewStreamWatch(js, telemetry(t, logs)), time.Now()
	w.now = func() time.Time { return now }
	look := func() string {
		before := len(logs.String())
		require.NoError(t, w.Look(bounded(t)))
		return logs.String()[before:]
	}
	fill(50)
	require.Empty(t, look())
	fill(75)
	require.Contains(t, look(), "filling up")
	require.Empty(t, look(), "once")
	fill(92)
	require.Contains(t, look(), "nearly full")
	require.Empty(t, look())
	now = now.Add(time.Hour)
	require.Contains(t, look(), "nearly full", "and reminds")
}

// A stream that drops its oldest is full as a rule. What matters is who has not
// read that.
func TestAStreamThatDropsItsOldestIsMeasuredByItsReaders(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Audit))
	small(t, js, events.AccessStream, "core.access.>", jetstream.DiscardOld)
	s, err := js.Stream(bounded(t), events.AccessStream)
	require.NoError(t, err)
	for range 200 {
		_, err := js.Publish(bounded(t), "core.access.audit", make([]byte, 512))
		require.NoError(t, err)
	}
	logs := &log{}
	w := NewStreamWatch(js, telemetry(t, logs))
	require.NoError(t, w.Look(bounded(t)))
	require.NotContains(t, logs.String(), "full")
	c, err := s.CreateConsumer(bounded(t), jetstream.ConsumerConfig{Durable: "audit_slow", AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	require.NoError(t, w.Look(bounded(t)))
	require.Contains(t, logs.String(), "nearly full")
	require.Contains(t, logs.String(), "audit_slow")
	batch, err := c.Fetch(1000, jetstream.FetchMaxWait(time.Second))
	require.NoError(t, err)
	for msg := range batch.Messages() {
		require.NoError(t, msg.DoubleAck(bounded(t)))
	}
	require.NoError(t, w.Look(bounded(t)))
	require.Contains(t, logs.String(), "room again")
}
