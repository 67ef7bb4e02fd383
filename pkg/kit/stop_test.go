package kit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

func TestStopFinishesWhatIsInWork(t *testing.T) {
	t.Parallel()
	s, g := serve(t), newGate()
	op := operation("tenant.slow", contract.Internal)
	require.NoError(t, Handle(s.Server, op, g.handle))
	probe := operation("tenant.probe", contract.Internal) // drained after the others
	require.NoError(t, HandleFast(s.Server, probe, fastEcho, nil))
	var working []<-chan error
	for range 5 {
		working = append(working, asking(t, s.client, op, "x"))
		g.await(t)
	}
	// Too impatient a Stop says so, and what is in work goes on.
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.Stop(ended), context.Canceled)

	var all sync.WaitGroup
	stopped := make(chan error, 3)
	for range 3 {
		all.Go(func() { stopped <- s.Stop(context.Background()) })
	}
	require.Eventually(t, func() bool { // nobody new is admitted
		_, err := s.client.nats.RequestWithContext(bounded(t), probe.Subject(), nil)
		return errors.Is(err, nats.ErrNoResponders)
	}, limit, time.Millisecond)
	require.Equal(t, contract.Unavailable, code(t, <-asking(t, s.client, op, "late")))
	select {
	case err := <-stopped:
		t.Fatal("stopped before the work was done:", err)
	default:
	}
	close(g.release)
	for _, done := range working {
		require.NoError(t, <-done)
	}
	all.Wait()
	for range 3 {
		require.NoError(t, <-stopped)
	}
	require.NoError(t, s.Stop(context.Background()))
	s.cfg.NATS.Close()
	require.NoError(t, s.Stop(context.Background()), "after the connection's end there is nothing to do")
}

func TestStopDoesNotWaitForABusThatIsAway(t *testing.T) {
	t.Parallel()
	s := serve(t)
	require.NoError(t, Handle(s.Server, operation("tenant.any", contract.Internal), echo))
	s.bus.stop()
	require.Eventually(t, func() bool { return !s.cfg.NATS.IsConnected() }, limit, time.Millisecond)
	begin := time.Now()
	require.NoError(t, s.Stop(bounded(t)))
	require.Less(t, time.Since(begin), 5*time.Second)
}
