package chaos

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

// killLeaders kills, of three servers, whichever leads a stream, while every
// stream is on all three; and two at once, after which there is no majority
// until one is back.
func killLeaders(t *testing.T, v *visitor) {
	v.world = newWorld(t, layout{servers: 3})
	v.load = startLoad(t, v.world)
	for n := range v.kills(12) {
		stream := []string{events.AuditStream, events.EventsStream}[n%2]
		v.awaitReplicas(t, stream)
		v.sometime(t)
		leader := v.leader(t, stream)
		leader.Kill()
		v.killed++
		v.load.progress(t, 20, 2) // two of three go on
		leader.Start()
	}
	v.awaitReplicas(t, events.AuditStream)
	v.sometime(t)
	gone := slices.Clone(v.world.Cluster)
	v.draw.Shuffle(len(gone), func(i, j int) { gone[i], gone[j] = gone[j], gone[i] })
	for _, b := range gone[:2] {
		b.Kill()
		v.killed++
	}
	v.moment(2 * time.Second)
	for _, b := range gone[:2] {
		b.Start()
	}
}

// leader is the server that leads a stream.
func (v *visitor) leader(t *testing.T, stream string) *stack.Bus {
	t.Helper()
	var found *stack.Bus
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s, err := v.world.js.Stream(ctx, stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		for _, b := range v.world.Cluster {
			if b.Name == s.CachedInfo().Cluster.Leader {
				found = b
			}
		}
		return found != nil
	}, patience, 20*time.Millisecond, "stream %s has no leader", stream)
	return found
}

// awaitReplicas waits until all three servers have all of a stream.
func (v *visitor) awaitReplicas(t *testing.T, stream string) {
	t.Helper()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s, err := v.world.js.Stream(ctx, stream)
		if err != nil || s.CachedInfo().Cluster == nil || len(s.CachedInfo().Cluster.Replicas) != 2 {
			return false
		}
		for _, replica := range s.CachedInfo().Cluster.Replicas {
			if !replica.Current || replica.Offline {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond, "stream %s is not on three servers", stream)
}
