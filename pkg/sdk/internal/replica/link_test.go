package replica

import (
	"context"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/coretest"
)

// link is the way between a replica and a core. It keeps the order of what is
// told, and can be slow, cut and lossy.
type link struct {
	*coretest.Core

	mu    sync.Mutex
	delay func() time.Duration // of each message, each way
	drop  func(tenant string, message []byte) bool
	cut   chan struct{} // closed to cut the streams
	down  bool
}

func newLink(c *coretest.Core) *link { return &link{Core: c, cut: make(chan struct{})} }

func (l *link) lag() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.delay == nil {
		return 0
	}
	return l.delay()
}

func (l *link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// sever cuts all streams; down keeps new ones, and requests, from passing.
func (l *link) sever(down bool) {
	l.set(func() {
		close(l.cut)
		l.cut = make(chan struct{})
		l.down = down
	})
}

var errCut = contract.Errorf(contract.Unavailable, "the link is cut")

func (l *link) Snapshot(ctx context.Context, r *contract.PolicySnapshotRequest) (*contract.PolicySnapshotResponse, error) {
	for range 2 {
		l.mu.Lock()
		down := l.down
		l.mu.Unlock()
		if down {
			return nil, errCut
		}
		if !sleep(ctx, l.lag()) {
			return nil, ctx.Err()
		}
	}
	answer, err := l.Core.Snapshot(ctx, r)
	if !sleep(ctx, l.lag()) {
		return nil, ctx.Err()
	}
	return answer, err
}

func (l *link) Follow(ctx context.Context, _ []string, opened func(), handle func([]byte)) error {
	l.mu.Lock()
	cut, down := l.cut, l.down
	l.mu.Unlock()
	if down {
		return errCut
	}
	if err := l.Refused(); err != nil {
		return err
	}
	type sent struct {
		due  time.Time
		data []byte
	}
	queue := make(chan sent, 1<<16)
	var last time.Time
	stop := l.Listen(func(tenant string, data []byte) {
		lag := l.lag()
		l.set(func() {
			if l.drop != nil && l.drop(tenant, data) {
				return
			}
			if due := time.Now().Add(lag); due.After(last) {
				last = due
			}
			queue <- sent{last, data}
		})
	})
	defer stop()
	opened()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-cut:
			return errCut
		case m := <-queue:
			timer := time.NewTimer(time.Until(m.due))
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-cut:
				return errCut
			case <-timer.C:
				handle(m.data)
			}
		}
	}
}
