package natstransport_test

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/natstransport"
)

const feedHeader = contract.HeaderFeed + ": 1\r\n"

var _ sdk.Follower = (*natstransport.Transport)(nil)

// following is a stream being followed.
type following struct {
	opened   chan struct{}
	messages chan string
	ended    chan error
	stop     context.CancelFunc
}

func follow(t *testing.T, transport *natstransport.Transport, subjects ...string) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	f := &following{make(chan struct{}), make(chan string, 100), make(chan error, 1), cancel}
	go func() {
		f.ended <- transport.Follow(ctx, contract.PolicyFeed.Spec, subjects, func() { close(f.opened) },
			func(message []byte) { f.messages <- string(message) })
	}()
	return f
}

func TestAStreamIsHeardInItsOrderAcrossSubjects(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := follow(t, newTransport(t, s), "core.feed.financial.beat", "core.feed.financial.t1")
	<-f.opened
	assert.Equal(t, 2, s.subscriptions())
	for i := range 50 {
		s.publish([]string{"core.feed.financial.beat", "core.feed.financial.t1"}[i%2], feedHeader, strconv.Itoa(i))
		s.publish("core.feed.financial.t1", "", "an answer to another module's request")
		s.publish("core.feed.financial.t1", contract.HeaderRequestID+": 1\r\n", "another")
		s.publish("core.feed.financial.t2", feedHeader, "not subscribed to")
	}
	for i := range 50 {
		require.Equal(t, strconv.Itoa(i), <-f.messages)
	}
	f.stop()
	require.ErrorIs(t, <-f.ended, context.Canceled)
	require.Eventually(t, func() bool { return s.subscriptions() == 0 }, 5*time.Second, time.Millisecond)
}

func TestAWildcardCoversTheSubjectsBesideIt(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := follow(t, newTransport(t, s), "core.feed.financial.beat", "core.feed.financial.*", "core.feed.financial.*")
	<-f.opened
	s.publish("core.feed.financial.beat", feedHeader, "1")
	s.publish("core.feed.financial.t1", feedHeader, "2")
	assert.Equal(t, "1", <-f.messages)
	assert.Equal(t, "2", <-f.messages)
	assert.Equal(t, 1, s.subscriptions())
}

// One subject of several would be enough to miss what is told on it.
func TestARefusedSubjectEndsTheStream(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.refuse = func(subject string) bool { return subject == "core.feed.financial.t1" }
	var log syncBuffer
	transport, err := natstransport.New(t.Context(), natstransport.Config{URL: s.url(), APIKey: key, Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { _ = transport.Close() })
	for range 3 {
		f := follow(t, transport, "core.feed.financial.beat", "core.feed.financial.t1")
		require.ErrorIs(t, <-f.ended, sdk.ErrPermissionDenied)
		select {
		case <-f.opened:
			t.Error("opened")
		default:
		}
	}
	assert.NotContains(t, log.String(), "Permissions Violation", "who follows says so")
	require.ErrorIs(t, <-follow(t, transport).ended, sdk.ErrPermissionDenied, "no subjects")

	_, err = check(t.Context(), transport)
	require.NoError(t, err)
}

func TestABrokenConnectionEndsTheStream(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	transport := newTransport(t, s)
	f := follow(t, transport, "core.feed.financial.*")
	<-f.opened
	s.kick()
	require.ErrorIs(t, <-f.ended, sdk.ErrUnavailable)
	require.Eventually(t, func() bool { // it is back by itself, and so may the stream be
		f := follow(t, transport, "core.feed.financial.*")
		select {
		case <-f.opened:
			s.publish("core.feed.financial.t1", feedHeader, "again")
			return <-f.messages == "again"
		case err := <-f.ended:
			require.ErrorIs(t, err, sdk.ErrUnavailable)
			return false
		}
	}, 10*time.Second, 10*time.Millisecond)
	f = follow(t, transport, "core.feed.financial.*")
	<-f.opened
	require.NoError(t, transport.Close())
	require.ErrorIs(t, <-f.ended, sdk.ErrUnavailable)
	require.ErrorIs(t, <-follow(t, transport, "core.feed.financial.*").ended, sdk.ErrUnavailable)
}

func TestWhoIsTooSlowIsToldAndHearsNothingBehindTheGap(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	transport := newTransport(t, s)
	opened, busy := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- transport.Follow(t.Context(), contract.PolicyFeed.Spec, []string{"core.feed.financial.beat", "core.feed.financial.t1"},
			func() { close(opened) }, func(message []byte) {
				<-busy
				assert.Equal(t, "step", string(message))
			})
	}()
	<-opened
	for range 9000 {
		s.publish("core.feed.financial.t1", feedHeader, "step")
	}
	s.publish("core.feed.financial.beat", feedHeader, "beat")
	_, err := check(t.Context(), transport) // by now all has arrived
	require.NoError(t, err)
	close(busy)
	err = <-ended
	require.ErrorIs(t, err, sdk.ErrUnavailable)
	require.ErrorContains(t, err, "dropped")
}

type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
