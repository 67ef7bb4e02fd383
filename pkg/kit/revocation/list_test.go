package revocation

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
)

func errUnavailable() error { return &contract.Error{Code: contract.Unavailable} }

func TestAnEndedSessionIsKnownByAnnouncementByEventAndBySnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, _ := w.end()
	l := w.verifier(w.server.URL(), nil)
	require.ErrorIs(t, l.Check(bounded(t), before, ""), ErrEnded, "by the snapshot")

	byEvent, ended := w.end()
	require.NoError(t, l.Check(bounded(t), byEvent, ""), "not told yet")
	w.publish(events.SessionsEnded, ended)
	require.Eventually(t, func() bool { return l.Revoked(byEvent) }, limit, time.Millisecond)

	announced, ended := w.end()
	w.pulse.Announce(ended)
	require.Eventually(t, func() bool { return l.Revoked(announced) }, limit, time.Millisecond)

	require.NoError(t, l.Check(bounded(t), kit.NewID(), ""))
	asked, _ := w.source.counts()
	require.Zero(t, asked, "a fresh list asks nobody")

	again := w.verifier(w.server.URL(), nil) // the verifier starts anew
	for _, session := range []string{before, byEvent, announced} {
		require.ErrorIs(t, again.Check(bounded(t), session, ""), ErrEnded)
	}
	again.Stop()
	again.Stop()
	require.False(t, again.Fresh())
	require.True(t, l.Fresh())
}

// A stopped or never started list is no reason to let anybody in.
func TestAListThatWasNotStartedAsks(t *testing.T) {
	t.Parallel()
	s := &source{ended: map[string]time.Time{"ended": time.Now()}}
	l := NewList(Config{Service: "x", Source: s, Telemetry: telemetry(t)})
	require.False(t, l.Fresh())
	require.NoError(t, l.Check(bounded(t), "open", ""))
	require.NoError(t, l.Check(bounded(t), "open", ""))
	asked, _ := s.counts()
	require.Equal(t, 1, asked, "asked a moment ago")
	require.NoError(t, l.Check(bounded(t), "open", "another tenant"))
	require.ErrorIs(t, l.Check(bounded(t), "ended", ""), ErrEnded)
	s.fail(errors.New("away"))
	require.ErrorIs(t, l.Check(bounded(t), "other", ""), errUnavailable())
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, l.Check(ended, "third", ""), errUnavailable())
	l.Stop()
}

// cutOff makes a verifier lose touch, ends a session that it cannot hear of,
// and holds it to the bound.
func cutOff(t *testing.T, w *world, l *List, lose, regain func()) {
	t.Helper()
	open := kit.NewID()
	lose()
	lost := time.Now()
	session, ended := w.end()
	w.pulse.Announce(ended)
	w.publish(events.SessionsEnded, ended)
	accepted := func() bool { return l.Check(bounded(t), session, "") == nil }
	require.Eventually(t, func() bool { return !accepted() }, limit, time.Millisecond)
	require.Eventually(t, func() bool { return !l.Fresh() }, limit, time.Millisecond)
	require.Less(t, time.Since(lost), Bound)
	require.ErrorIs(t, l.Check(bounded(t), session, ""), ErrEnded, "by asking")
	require.NoError(t, l.Check(bounded(t), open, ""), "by asking")
	w.source.fail(contract.Errorf(contract.Unavailable, "cut off"))
	require.ErrorIs(t, l.Check(bounded(t), kit.NewID(), ""), errUnavailable())
	w.source.fail(nil)
	require.False(t, accepted())

	regain()
	w.fresh(l)
	require.True(t, l.Revoked(session), "what was missed is made up for")
	before, _ := w.source.counts()
	require.NoError(t, l.Check(bounded(t), kit.NewID(), ""))
	after, _ := w.source.counts()
	require.Equal(t, before, after, "asks nobody any more")
}

func TestAVerifierBehindADeadLinkStopsAccepting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link := w.link()
	l := w.verifier(link.url, nil)
	cutOff(t, w, l, link.kill, link.mend)
	cutOff(t, w, l, link.kill, func() { link.cut(); link.mend() })
}

func TestAVerifierWithAClosedConnectionStopsAccepting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link := w.link()
	l := w.verifier(link.url, nil)
	cutOff(t, w, l, func() { link.kill(); link.cut() }, link.mend)
}

// Core NATS works, and beats come, but the stream's consumer is gone.
func TestAVerifierWhoseEventsDoNotComeStopsAccepting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.verifier(w.server.URL(), nil)
	l.follower.Load().Stop()
	session, ended := w.end()
	begin := time.Now()
	w.publish(events.SessionsEnded, ended) // unannounced
	require.Eventually(t, func() bool { return l.Check(bounded(t), session, "") != nil }, limit, time.Millisecond)
	require.Less(t, time.Since(begin), Bound)
	w.fresh(l)
	require.True(t, l.Revoked(session))
	session, ended = w.end()
	w.publish(events.SessionsEnded, ended)
	require.Eventually(t, func() bool { return l.Revoked(session) }, limit, time.Millisecond, "it follows again")
}

func TestABeatThatStopsEndsTheTrust(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.verifier(w.server.URL(), nil)
	cutOff(t, w, l, func() { w.pulse.Stop() }, w.startPulse)
}

// An event that is committed and cannot be published is no secret for long.
func TestARevocationThatIsStuckInTheOutboxEndsTheTrust(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.verifier(w.server.URL(), nil)
	w.waiting.Store(5)
	session, ended := w.end() // neither announced nor published
	begin := time.Now()
	require.Eventually(t, func() bool { return l.Check(bounded(t), session, "") != nil }, limit, time.Millisecond)
	require.Less(t, time.Since(begin), Bound)
	w.publish(events.SessionsEnded, ended)
	w.waiting.Store(0)
	w.fresh(l)
	require.True(t, l.Revoked(session))
}

// One after another wait for a moment each: that is how an outbox works.
func TestRevocationsOnTheirWayDoNotEndTheTrust(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	p := &Pulse{cfg: PulseConfig{Oldest: func(context.Context) (int64, error) { return n.Add(1), nil }}}
	for range 10 {
		require.True(t, p.allTold(t.Context()))
	}
	p.cfg.Oldest = func(context.Context) (int64, error) { return 0, errors.New("the database is away") }
	require.True(t, p.allTold(t.Context()))
}

func TestAnOutageOfTheOutboxDoesNotHideWhatWaitsThere(t *testing.T) {
	t.Parallel()
	p := &Pulse{cfg: PulseConfig{Oldest: func(context.Context) (int64, error) { return 7, nil }, Log: telemetry(t).Log}}
	require.True(t, p.allTold(t.Context()))
	require.False(t, p.allTold(t.Context()))
	p.cfg.Oldest = func(context.Context) (int64, error) { return 0, errors.New("the database is away") }
	require.False(t, p.allTold(t.Context()))
	p.cfg.Oldest = func(context.Context) (int64, error) { return 0, nil }
	require.True(t, p.allTold(t.Context()))
}

// The bus starts anew, without anything that was in the stream.
func TestAListOutlivesItsStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.verifier(w.server.URL(), nil)
	for range 3 {
		_, ended := w.end()
		w.publish(events.SessionsEnded, ended)
	}
	operator, err := jetstream.New(w.connect(natsconn.Operator, w.server.URL()))
	require.NoError(t, err)
	require.NoError(t, operator.DeleteStream(bounded(t), events.EventsStream))
	require.Eventually(t, func() bool { return events.Ensure(bounded(t), w.js, events.EventsStream, 1) == nil },
		limit, 10*time.Millisecond, "the server may still be clearing the stream's folder away")
	w.sequence.Store(0)
	w.pulse.Stop() // auth starts anew
	w.startPulse()
	require.Eventually(t, func() bool { _, listed := w.source.counts(); return listed > 1 }, limit, time.Millisecond)
	w.fresh(l)
	session, ended := w.end()
	w.publish(events.SessionsEnded, ended)
	require.Eventually(t, func() bool { return l.Revoked(session) }, limit, time.Millisecond)
}

func TestWhatIsNotUnderstoodChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.verifier(w.server.URL(), nil)
	heard := l.heard.Load()
	w.pulse.Stop()
	require.NoError(t, w.auth.Flush())
	for _, data := range []string{"", "{", "5", `"x"`, `{"seq":-1}`, `{"ended":5}`} {
		require.NoError(t, w.auth.Publish(Subject, []byte(data)))
	}
	for _, data := range []any{nil, 5, "x", map[string]any{"session_ids": 5}} {
		w.publish(events.SessionsEnded, data)
	}
	session, ended := w.end()
	w.publish(events.SessionsEnded, ended)
	require.Eventually(t, func() bool { return l.Revoked(session) }, limit, time.Millisecond)
	require.LessOrEqual(t, l.heard.Load()-heard, int64(lease), "nonsense is no beat")
	require.EqualValues(t, 1, l.size.Load())
}

// keys counts what it is told.
type keys struct {
	retained atomic.Pointer[[]string]
	asked    atomic.Int32
	failures atomic.Int32
}

func (k *keys) Retain(kids []string) { k.retained.Store(&kids) }

func (k *keys) Refresh(context.Context) error {
	k.asked.Add(1)
	if k.failures.Add(-1) >= 0 {
		return errors.New("away")
	}
	return nil
}

func TestChangedSigningKeysAreDroppedAndAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := &keys{}
	l := w.verifier(w.server.URL(), k)
	require.Eventually(t, func() bool { return k.asked.Load() == 1 }, limit, time.Millisecond, "what changed before")
	k.failures.Store(1)
	w.publish(events.SigningKeysChanged, events.SigningKeys{KeyIDs: []string{"new"}})
	require.Eventually(t, func() bool { return k.asked.Load() >= 3 }, limit, time.Millisecond, "until there is an answer")
	require.Equal(t, []string{"new"}, *k.retained.Load())
	require.True(t, l.Fresh())
}

func TestExpiredEntriesAreSwept(t *testing.T) {
	t.Parallel()
	l := NewList(Config{Service: "x", Telemetry: telemetry(t)})
	now := time.Now()
	l.Put(events.EndedSessions{SessionIDs: []string{"long gone"}, Until: now.Add(-time.Hour)})
	require.Zero(t, l.size.Load())
	l.Put(events.EndedSessions{SessionIDs: []string{"a", "b", "a"}, Until: now.Add(time.Minute)})
	l.Put(events.EndedSessions{SessionIDs: []string{"c"}, Until: now.Add(time.Hour)})
	l.sweep(now.Add(time.Minute))
	require.True(t, l.Revoked("a"), "for a verifier whose clock is late")
	l.sweep(now.Add(time.Minute + slack + time.Second))
	require.False(t, l.Revoked("a"))
	require.True(t, l.Revoked("c"))
	require.EqualValues(t, 1, l.size.Load())
}

func TestTenThousandRevocationsAreFewBytes(t *testing.T) {
	s := &source{ended: map[string]time.Time{}}
	for range 10_000 {
		s.end(kit.NewID(), time.Now().Add(time.Minute))
	}
	l := NewList(Config{Service: "x", Source: s, Telemetry: telemetry(t)})
	measure := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := measure()
	require.NoError(t, l.snapshot(bounded(t)))
	used := int64(measure()) - int64(before)
	require.EqualValues(t, 10_000, l.size.Load())
	require.Less(t, used, int64(4<<20))
	t.Logf("10,000 revocations: %d kB", used>>10)
	runtime.KeepAlive(s)
}

func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	l := w.verifier(w.server.URL(), nil)
	for range 10_000 {
		l.put(kit.NewID(), time.Now().Add(time.Minute))
	}
	session, ctx := kit.NewID(), context.Background()
	for b.Loop() {
		if err := l.Check(ctx, session, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAnnounced measures from auth's word to a verifier's refusal.
func BenchmarkAnnounced(b *testing.B) {
	w := newWorld(b)
	l := w.verifier(w.server.URL(), nil)
	n := 0
	for b.Loop() {
		n++
		session := fmt.Sprint(n)
		w.pulse.Announce(events.EndedSessions{SessionIDs: []string{session}, Until: time.Now().Add(time.Minute)})
		for !l.Revoked(session) {
			runtime.Gosched()
		}
	}
}
