package stack

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Line is a TCP proxy between a module and the core.
type Line struct {
	URL      string
	listener net.Listener

	mu     sync.Mutex
	target string
	down   bool
	conns  map[net.Conn]struct{}
}

// NewLine starts a line to where the URL points, until the test ends.
func NewLine(t testing.TB, to string) *Line {
	t.Helper()
	u, err := url.Parse(to)
	require.NoError(t, err)
	l := &Line{target: u.Host, conns: map[net.Conn]struct{}{}}
	l.listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	u.Host = l.listener.Addr().String()
	l.URL = u.String()
	go l.accept()
	t.Cleanup(func() {
		_ = l.listener.Close() // nobody waits for it
		l.Cut(true)
	})
	return l
}

// Cut ends all connections; down keeps new ones from being made.
func (l *Line) Cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for conn := range l.conns {
		_ = conn.Close() // gone is as good
	}
}

// MoveTo has new connections made to another URL.
func (l *Line) MoveTo(t testing.TB, to string) {
	t.Helper()
	u, err := url.Parse(to)
	require.NoError(t, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target, l.down = u.Host, false
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
	target := l.target
	l.mu.Unlock()
	far, err := net.Dial("tcp", target)
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
			_, _ = io.Copy(way[0], way[1]) // that it ends is all there is to know
			_ = way[0].Close()
		})
	}
	both.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, near)
	delete(l.conns, far)
}
