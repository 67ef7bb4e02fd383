package revocation

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// world is a bus with an auth that knows which sessions ended.
type world struct {
	t      testing.TB
	dir    string
	server *natsserver.Server
	auth   *nats.Conn
	js     jetstream.JetStream
	source *source

	sequence atomic.Uint64 // of the last event that was published
	waiting  atomic.Int64  // the oldest event that was not
	pulse    *Pulse
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), source: &source{ended: map[string]time.Time{}}}
	require.NoError(t, natsserver.Init(w.dir))
	w.start("127.0.0.1:0")
	t.Cleanup(func() { require.NoError(t, w.server.Stop(bounded(t))) })
	w.auth = w.connect(natsconn.Auth, w.server.URL())
	var err error
	w.js, err = jetstream.New(w.auth)
	require.NoError(t, err)
	require.NoError(t, events.Ensure(bounded(t), w.js, events.EventsStream, 1))
	w.startPulse()
	t.Cleanup(func() { w.pulse.Stop() })
	return w
}

func (w *world) start(listen string) {
	w.t.Helper()
	var err error
	w.server, err = natsserver.Start(bounded(w.t), natsserver.Config{Dir: w.dir, Listen: listen})
	require.NoError(w.t, err)
}

func (w *world) startPulse() {
	w.pulse = StartPulse(PulseConfig{
		NATS: w.auth, Sequence: w.sequence.Load, Log: slog.New(slog.DiscardHandler),
		Oldest: func(context.Context) (int64, error) { return w.waiting.Load(), nil },
	})
}

func (w *world) connect(user, url string) *nats.Conn {
	w.t.Helper()
	nc, err := natsconn.Connect(bounded(w.t), natsconn.Config{URL: url, User: user, SeedFile: natsserver.SeedFile(w.dir, user)})
	require.NoError(w.t, err)
	w.t.Cleanup(nc.Close)
	return nc
}

func telemetry(t testing.TB) *kit.Telemetry {
	t.Helper()
	tel, err := kit.NewTelemetry(context.Background(), kit.TelemetryConfig{Process: "test"})
	require.NoError(t, err)
	return tel
}

// verifier is a List of service tenant that is fresh; it reaches the bus at
// url and its source by other means.
func (w *world) verifier(url string, keys Keys) *List {
	w.t.Helper()
	js, err := jetstream.New(w.connect(natsconn.Tenant, url))
	require.NoError(w.t, err)
	l := NewList(Config{Service: natsconn.Tenant, Source: w.source, Keys: keys, Telemetry: telemetry(w.t)})
	require.NoError(w.t, l.Start(bounded(w.t), js))
	w.t.Cleanup(l.Stop)
	w.fresh(l)
	return l
}

func (w *world) fresh(l *List) {
	w.t.Helper()
	require.Eventually(w.t, l.Fresh, limit, time.Millisecond)
}

// end ends a session as auth does: in its database first.
func (w *world) end() (session string, ended events.EndedSessions) {
	session = kit.NewID()
	ended = events.EndedSessions{SessionIDs: []string{session}, Until: time.Now().Add(time.Minute)}
	w.source.end(session, ended.Until)
	return session, ended
}

// publish is what the outbox's relay does later.
func (w *world) publish(kind events.Kind, data any) {
	w.t.Helper()
	e, err := events.New(kind, "t", 0, data)
	require.NoError(w.t, err)
	sequence, err := events.PublishAt(bounded(w.t), w.js, e, e.ID())
	require.NoError(w.t, err)
	w.sequence.Store(sequence)
}

// source is auth's database.
type source struct {
	mu     sync.Mutex
	ended  map[string]time.Time
	err    error
	asked  int
	listed int
}

func (s *source) end(session string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended[session] = until
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source) counts() (asked, listed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.listed
}

func (s *source) CheckSession(_ context.Context, r *contract.CheckSessionRequest) (*contract.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil {
		return nil, s.err
	}
	if _, ended := s.ended[string(r.SessionID)]; ended {
		return nil, contract.Errorf(contract.Unauthenticated, "ended")
	}
	return &contract.Empty{}, nil
}

func (s *source) ListRevocations(_ context.Context, r *contract.SnapshotRequest) (*contract.ListRevocationsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed++
	if s.err != nil {
		return nil, s.err
	}
	var all []contract.Revocation
	for session, until := range s.ended {
		all = append(all, contract.Revocation{SessionID: session, Until: until})
	}
	slices.SortFunc(all, func(a, b contract.Revocation) int {
		if a.SessionID < b.SessionID {
			return -1
		}
		return 1
	})
	const size = 500
	from, _ := strconv.Atoi(r.Cursor)
	page := &contract.ListRevocationsResponse{Items: all[from:min(from+size, len(all))]}
	if from+size < len(all) {
		page.NextCursor = strconv.Itoa(from + size)
	}
	return page, nil
}

// link is a TCP connection's way to the bus that can go dead without a word:
// nothing arrives any more, and nothing tells.
type link struct {
	t        testing.TB
	listener net.Listener
	target   string
	url      string

	mu    sync.Mutex
	dead  chan struct{} // closed when the link lives again; nil while it does
	conns []net.Conn
}

func (w *world) link() *link {
	w.t.Helper()
	u, err := url.Parse(w.server.URL())
	require.NoError(w.t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	l := &link{t: w.t, listener: listener, target: u.Host, url: "nats://" + listener.Addr().String()}
	w.t.Cleanup(func() {
		_ = listener.Close()
		l.mend()
		l.cut()
	})
	go l.accept()
	return l
}

func (l *link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, client, server)
		l.mu.Unlock()
		go l.copy(client, server)
		go l.copy(server, client)
	}
}

func (l *link) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		l.mu.Lock()
		dead := l.dead
		l.mu.Unlock()
		if dead != nil {
			<-dead
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// kill lets nothing through any more, in either direction.
func (l *link) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = make(chan struct{})
}

// mend lets through what was held back, and all after it.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead != nil {
		close(l.dead)
		l.dead = nil
	}
}

// cut closes the connections there are.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}
