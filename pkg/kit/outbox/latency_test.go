package outbox

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
)

// deliver follows the stream, changes something n times, and tells how long
// each change took from its commit to the follower.
func deliver(w *world, n int) (took []time.Duration) {
	w.t.Helper()
	r := w.relay()
	arrived := make(chan string, n)
	f, err := events.Follow(bounded(w.t), w.jetStream(), events.EventsStream, []string{events.TenantChanged.Subject("*")},
		func(e events.Event) { arrived <- events.Extension(e, events.Revision) }, func(error) {})
	require.NoError(w.t, err)
	defer f.Stop()
	for i := range n {
		require.NoError(w.t, w.add(nil, i))
		committed := time.Now()
		r.Notify()
		<-arrived
		took = append(took, time.Since(committed))
	}
	// The last event may arrive before its publisher has the acknowledgement.
	require.Eventually(w.t, func() bool { return f.Sequence() == r.Sequence(events.TenantChanged) }, limit, time.Millisecond)
	require.Zero(w.t, r.Sequence(events.UserChanged))
	slices.Sort(took)
	return took
}

func TestAChangeIsToldAtOnceAndNotAtTheNextPoll(t *testing.T) {
	t.Parallel()
	took := deliver(newWorld(t), 100)
	t.Logf("p50 %v, p99 %v", took[50], took[98])
	require.Less(t, took[50], poll)
}
