package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

const (
	// The pauses after an error, of which half is random.
	shortestPause = 50 * time.Millisecond
	longestPause  = 10 * time.Second
	// refusedPause is the pause after the core refused what the key does not
	// grant.
	refusedPause = 5 * time.Minute
	// readers is how many settings are read at once after a break.
	readers = 8
)

// news follows tenant.news, once for all who listen and while anybody does.
type news struct {
	transport Transport // without retries: its pauses are here
	log       *slog.Logger
	reading   chan struct{}
	closed    context.Context
	close     context.CancelFunc

	mu        sync.Mutex
	listeners map[*listener]struct{}
	end       context.CancelFunc // of following, which goes on
	following sync.WaitGroup
}

func newNews(transport Transport, log *slog.Logger) *news {
	n := &news{transport: transport, log: log, reading: make(chan struct{}, readers), listeners: map[*listener]struct{}{}}
	n.closed, n.close = context.WithCancel(context.Background())
	return n
}

// listener is woken when it is to look again: at the start, when the stream has
// been opened, and by messages that concern it.
type listener struct {
	concerns func(*contract.ModuleNewsMessage) bool
	wake     chan struct{}
}

func (l *listener) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// listen calls look at the start and whenever it may find something new, and
// again after a pause when it fails. It ends with ctx, with the client, and with
// what is wrong with the request itself.
func (n *news) listen(ctx context.Context, concerns func(*contract.ModuleNewsMessage) bool, look func(context.Context) error) error {
	follower, ok := n.transport.(Follower)
	if !ok {
		return errors.New("sdk: the transport is no sdk.Follower")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.closed, cancel)()
	l := &listener{concerns: concerns, wake: make(chan struct{}, 1)}
	l.nudge()
	n.join(l, follower)
	defer n.leave(l)
	pause := pauses{log: n.log, of: "what was told"}
	for {
		select {
		case <-ctx.Done():
		case <-n.closed.Done():
		case <-l.wake:
		}
		if err := n.over(ctx); err != nil {
			return err
		}
		err := look(ctx)
		switch over := n.over(ctx); {
		case over != nil:
			return over
		case errors.Is(err, ErrInvalidArgument):
			return err
		case err != nil:
			pause.take(ctx, err, l.wake)
			l.nudge()
		default:
			pause.over()
		}
	}
}

// over is why there is no more to listen to; nil while there is.
func (n *news) over(ctx context.Context) error {
	if n.closed.Err() != nil {
		return fault.Closed(contract.ModuleNews.Spec)
	}
	return ctx.Err()
}

func (n *news) join(l *listener, follower Follower) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[l] = struct{}{}
	if n.end == nil && n.closed.Err() == nil {
		var ctx context.Context
		ctx, n.end = context.WithCancel(n.closed)
		n.following.Go(func() { n.follow(ctx, follower) })
	}
}

func (n *news) leave(l *listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.listeners, l)
	if len(n.listeners) == 0 && n.end != nil {
		n.end()
		n.end = nil
	}
}

// stop ends all listening.
func (n *news) stop() {
	n.mu.Lock()
	n.close()
	n.mu.Unlock()
	n.following.Wait()
}

// follow holds the stream open until ctx ends.
func (n *news) follow(ctx context.Context, follower Follower) {
	pause := pauses{log: n.log, of: "the stream of news"}
	for ctx.Err() == nil {
		worked, err := n.hold(ctx, follower)
		if ctx.Err() != nil {
			return
		}
		if worked {
			pause.over()
		}
		pause.take(ctx, err, nil)
	}
}

// hold opens the stream once; it reports whether that went.
func (n *news) hold(ctx context.Context, follower Follower) (worked bool, err error) {
	hooks, err := Call(ctx, n.transport, contract.ListHooks, &contract.ListHooksRequest{Limit: 1}) // it tells where the news are
	if err != nil {
		return false, err
	}
	var opened atomic.Bool
	err = follower.Follow(ctx, contract.ModuleNews.Spec, hooks.News, func() {
		opened.Store(true)
		n.tell(nil)
	}, func(message []byte) {
		m := new(contract.ModuleNewsMessage)
		if json.Unmarshal(message, m) != nil {
			m = nil // something is new
		}
		n.tell(m)
	})
	return opened.Load(), err
}

// tell wakes those whom a message concerns; nil concerns all.
func (n *news) tell(m *contract.ModuleNewsMessage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.listeners {
		if m == nil || l.concerns(m) {
			l.nudge()
		}
	}
}

// pauses grow until they are over.
type pauses struct {
	log    *slog.Logger
	of     string // is logged, once for each reason
	last   time.Duration
	reason string
}

func (p *pauses) over() { p.last, p.reason = 0, "" }

// take waits, no longer than ctx, nor when woken.
func (p *pauses) take(ctx context.Context, after error, wake <-chan struct{}) {
	if reason := after.Error(); reason != p.reason {
		p.reason = reason
		p.log.Warn("not up to date with the core; trying again", "of", p.of, "reason", after)
	}
	p.last = min(max(2*p.last, shortestPause), longestPause)
	pause := p.last
	if errors.Is(after, ErrPermissionDenied) {
		pause = refusedPause
	}
	timer := time.NewTimer(pause/2 + rand.N(pause/2)) //nolint:gosec // jitter is no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}
