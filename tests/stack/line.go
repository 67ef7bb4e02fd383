package stack

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Line is a TCP proxy before a server.
//
//	open ── Cut(true) ──▶ cut: who was connected is thrown out, nobody connects
//	  ▲  ── Hang ───────▶ hung: everything stays connected, nothing passes
//	  └── Heal ── from either; what a hung line held back arrives then
type Line struct {
	URL      string
	listener net.Listener

	mu     sync.Mutex
	to     endpoint
	down   bool
	hung   bool
	passes *sync.Cond // signalled when hung ends
	conns  map[net.Conn]struct{}
}

// endpoint is where a line leads.
type endpoint struct{ network, address string }

// NewLine starts a line to where the URL points, until the test ends. A URL of
// PostgreSQL may point to a socket in a directory.
func NewLine(t testing.TB, to string) *Line {
	t.Helper()
	l := &Line{to: endpointOf(t, to), conns: map[net.Conn]struct{}{}}
	l.passes = sync.NewCond(&l.mu)
	var err error
	l.listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	u, err := url.Parse(to)
	require.NoError(t, err)
	u.Host = l.listener.Addr().String()
	if l.to.network == "unix" {
		u.User, u.RawQuery = url.User(u.Query().Get("user")), "sslmode=disable"
	}
	l.URL = u.String()
	go l.accept()
	t.Cleanup(func() {
		_ = l.listener.Close() // nobody waits for it
		l.Heal()
		l.Cut(true)
	})
	return l
}

func endpointOf(t testing.TB, to string) endpoint {
	t.Helper()
	u, err := url.Parse(to)
	require.NoError(t, err)
	if dir := u.Query().Get("host"); dir != "" {
		return endpoint{"unix", dir + "/.s.PGSQL." + u.Query().Get("port")}
	}
	return endpoint{"tcp", u.Host}
}

// Cut ends all connections; down keeps new ones from being made until Heal.
func (l *Line) Cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for conn := range l.conns {
		_ = conn.Close() // gone is as good
	}
}

// Hang lets nothing pass until Heal.
func (l *Line) Hang() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hung = true
}

// Heal ends what was done to the line.
func (l *Line) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.hung = false, false
	l.passes.Broadcast()
}

// MoveTo has new connections made to another URL.
func (l *Line) MoveTo(t testing.TB, to string) {
	t.Helper()
	target := endpointOf(t, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to, l.down = target, false
}

func (l *Line) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.serve(near)
	}
}

func (l *Line) serve(near net.Conn) {
	defer near.Close()
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	far, err := net.Dial(to.network, to.address)
	if err != nil {
		return
	}
	defer far.Close()
	l.mu.Lock()
	if l.down {
		l.mu.Unlock()
		return
	}
	l.conns[near], l.conns[far] = struct{}{}, struct{}{}
	l.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], passing{l, way[1]}) // that it ends is all there is to know
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	both.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, near)
	delete(l.conns, far)
}

// passing reads what the line lets pass.
type passing struct {
	line *Line
	net.Conn
}

func (p passing) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	for p.line.hung {
		p.line.passes.Wait()
	}
	return n, err
}
