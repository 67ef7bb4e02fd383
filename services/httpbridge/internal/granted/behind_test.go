package granted

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

const (
	patience = 20 * time.Second // bounds every wait
	tenant   = "0190f5c2-0000-7000-8000-00000000000a"
)

// slow is a line to the bus that can be made to bring nothing for some time.
type slow struct {
	address string
	left    atomic.Int64  // bytes until it does, none for never
	silence time.Duration // for how long it does
}

func newSlow(t *testing.T, bus string, silence time.Duration) *slow {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	s := &slow{address: "nats://" + listener.Addr().String(), silence: silence}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(bus, "nats://"))
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go s.bring(client, server)
		}
	}()
	return s
}

func (s *slow) bring(client, server net.Conn) {
	defer func() { _ = client.Close() }()
	buffer := make([]byte, 4096)
	for {
		n, err := server.Read(buffer)
		if left := s.left.Load(); left > 0 && s.left.Add(-int64(n)) <= 0 {
			s.left.Store(0)
			<-time.After(s.silence)
		}
		if _, gone := client.Write(buffer[:n]); err != nil || gone != nil {
			return
		}
	}
}

type bus struct {
	t     *testing.T
	audit jetstream.JetStream
	line  *slow
	hub   *Hub
	js    jetstream.JetStream // the hub's
}

// newBus has stream GRANTED, with n events in it before a hub reads it.
func newBus(t *testing.T, n int, silence time.Duration) *bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	dir := t.TempDir()
	require.NoError(t, natsserver.Init(dir))
	server, err := natsserver.Start(ctx, natsserver.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(ctx)) })
	b := &bus{t: t, line: newSlow(t, server.URL(), silence)}
	as := func(url, user string) jetstream.JetStream {
		nc, err := natsconn.Connect(ctx, natsconn.Config{URL: url, User: user, SeedFile: natsserver.SeedFile(dir, user)})
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		return js
	}
	b.audit = as(server.URL(), natsconn.Audit)
	require.NoError(t, events.Ensure(ctx, b.audit, events.GrantedStream, 1))
	b.give("crm", n)
	b.js = as(b.line.address, natsconn.HTTPBridge)
	b.hub = NewHub(b.js, slog.New(slog.DiscardHandler))
	t.Cleanup(b.hub.Stop)
	return b
}

// give gives a module events, numbered by their source.
func (b *bus) give(module string, n int) {
	b.t.Helper()
	var copies []*nats.Msg
	for range n {
		e, err := events.New(events.UnitChanged, tenant, 1, map[string]string{"filler": strings.Repeat("x", 200)})
		require.NoError(b.t, err)
		msg, err := events.Encode(e)
		require.NoError(b.t, err)
		msg.Header.Set(nats.MsgIdHdr, e.ID())
		copies = append(copies, events.Copy(module, msg.Subject, 1, msg.Header, msg.Data))
	}
	require.NoError(b.t, events.PublishCopies(b.t.Context(), b.audit, copies))
}

// open opens a reader behind a place, once the hub reads.
func (b *bus) open(after uint64) *Reader {
	b.t.Helper()
	var r *Reader
	require.Eventually(b.t, func() (there bool) {
		var err error
		r, err = b.hub.Open(&contract.VerifyKeyResponse{ID: "crm-aaaaaaaa", Module: "crm"}, &after, func(string, string) bool { return true }, func(error) {})
		return err == nil
	}, patience, patience/1000)
	b.t.Cleanup(r.Close)
	return r
}

// take takes n events and returns their places.
func (b *bus) take(r *Reader, n int) (places []string) {
	b.t.Helper()
	for len(places) < n {
		select {
		case <-r.Ready():
		case <-time.After(patience / 4):
			b.t.Fatalf("nothing comes behind %d of %d events", len(places), n)
		}
		frames, err := r.Take(b.t.Context())
		require.NoError(b.t, err)
		for _, frame := range frames {
			place, _, _ := strings.Cut(strings.TrimPrefix(string(frame), "id: "), "\n")
			places = append(places, place)
		}
	}
	return places
}

func numbers(first, last int) (all []string) {
	for n := first; n <= last; n++ {
		all = append(all, fmt.Sprint(n))
	}
	return all
}

// A bus that says nothing for a moment has not said all.
func TestWhatComesLateFromTheStreamIsNotLost(t *testing.T) {
	t.Parallel()
	const n = 1000
	b := newBus(t, n, 1500*time.Millisecond)
	r := b.open(0)
	b.line.left.Store(150 << 10)
	require.Equal(t, numbers(1, n), b.take(r, n))
}

// Who falls behind what the stream still has is told, though it was never away.
func TestAReaderThatIsTooSlowIsToldSo(t *testing.T) {
	t.Parallel()
	b := newBus(t, 1000, 0)
	r := b.open(0)
	require.Equal(t, numbers(1, readAtOnce), b.take(r, readAtOnce))
	stream, err := b.audit.Stream(t.Context(), events.GrantedStream)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(901)))
	frames, err := r.Take(t.Context())
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("event: gap\ndata: {\"after\":%d,\"before\":901}\n\n", readAtOnce), string(frames[0]))
	require.Len(t, frames, 101, "and what there is")
}

// All readers of a bridge come back at once when it starts again, and the bus holds
// only so many consumers.
func TestReadersThatWereBehindLeaveNothingOnTheBus(t *testing.T) {
	t.Parallel()
	const n = 300
	b := newBus(t, n, 0)
	for range 5 {
		r := b.open(0)
		require.Equal(t, numbers(1, n), b.take(r, n))
		for r.stream != nil {
			_, err := r.Take(t.Context())
			require.NoError(t, err)
		}
	}
	stream, err := b.audit.Stream(t.Context(), events.GrantedStream)
	require.NoError(t, err)
	require.Equal(t, 1, stream.CachedInfo().State.Consumers, "the hub's")
}

type message struct {
	jetstream.Msg
	sequence uint64
}

func (m message) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Stream: m.sequence}}, nil
}

func (m message) Subject() string {
	return events.GrantedSubject("hr", "core.events."+tenant+".tenant.unit.changed")
}

// What a bridge missed is not between two events that it keeps.
func TestAfterAHoleNothingBeforeItIsKept(t *testing.T) {
	t.Parallel()
	crm := &topic{from: 2, kept: []kept{{sequence: 4}}}
	h := &Hub{topics: map[string]*topic{"crm": crm}, through: 5}
	require.NoError(t, h.take(message{sequence: 6}))
	require.EqualValues(t, 2, crm.from)
	require.NoError(t, h.take(message{sequence: 9}))
	require.EqualValues(t, 8, crm.from)
	require.Empty(t, crm.kept)
}
