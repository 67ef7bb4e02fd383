package soak

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// line is a TCP proxy before a server, for one client.
//
//	open ── Cut ──▶ cut: nobody connects, who was is thrown out
//	  ▲  ── Hang ─▶ hung: everything stays connected, nothing passes
//	  └── Heal ── from either
type line struct {
	URL      string
	target   string
	listener net.Listener

	mu    sync.Mutex
	cut   bool
	open  *sync.Cond // signalled when hung changes
	hung  bool
	conns map[net.Conn]struct{}
	done  bool
}

// newLine starts a line to where the URL points; its own is the same through
// the line.
func newLine(t *testing.T, to string) *line {
	t.Helper()
	u, err := url.Parse(to)
	require.NoError(t, err)
	l := &line{target: u.Host, conns: map[net.Conn]struct{}{}}
	l.open = sync.NewCond(&l.mu)
	l.listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	u.Host = l.listener.Addr().String()
	l.URL = u.String()
	go l.accept()
	t.Cleanup(l.close)
	return l
}

func (l *line) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.serve(near)
	}
}

func (l *line) serve(near net.Conn) {
	far, err := net.Dial("tcp", l.target)
	if err != nil {
		near.Close()
		return
	}
	l.mu.Lock()
	if l.cut || l.done {
		l.mu.Unlock()
		near.Close()
		far.Close()
		return
	}
	l.conns[near], l.conns[far] = struct{}{}, struct{}{}
	l.mu.Unlock()
	var both sync.WaitGroup
	pipe := func(to, from net.Conn) {
		_, _ = io.Copy(to, hanging{l, from}) // that it ends is all there is to know
		to.Close()
		from.Close()
	}
	both.Go(func() { pipe(far, near) })
	both.Go(func() { pipe(near, far) })
	both.Wait()
	l.mu.Lock()
	delete(l.conns, near)
	delete(l.conns, far)
	l.mu.Unlock()
}

// hanging reads what may pass.
type hanging struct {
	line *line
	net.Conn
}

func (h hanging) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	for h.line.hung {
		h.line.open.Wait()
	}
	return n, err
}

// Cut throws everybody out, and lets nobody in until Heal.
func (l *line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for conn := range l.conns {
		conn.Close()
	}
}

// Hang lets nothing pass until Heal; then comes what was sent meanwhile.
func (l *line) Hang() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hung = true
}

// Heal ends what was done to the line.
func (l *line) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.hung = false, false
	l.open.Broadcast()
}

func (l *line) close() {
	l.listener.Close()
	l.Heal()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
	for conn := range l.conns {
		conn.Close()
	}
}
