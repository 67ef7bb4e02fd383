package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrStopped is what a Group says that takes no more.
var ErrStopped = errors.New("stopped")

const (
	// groupWaiting is how many events may wait for their batch; the next ones
	// wait to be let in.
	groupWaiting = 4 * maxBatch
	// groupFlights is how many batches are on their way at once: one gathers while
	// another is synced. A server takes 50 a stream from all who publish.
	groupFlights = 2
	// groupPatience bounds the publishing of a batch.
	groupPatience = 5 * time.Second
)

// Group publishes the events of many callers into one stream together: while a
// batch is being stored, the next one gathers. A lone caller waits for nobody.
//
//	Publish ──▶ waiting ──▶ batch ──stored──▶ each caller is answered
//	   └─ the caller's context ends: taken out, unless its batch is on its way
type Group struct {
	js      jetstream.JetStream
	waiting chan *grouped
	entry   sync.RWMutex // held for writing to close waiting
	closed  bool
	working context.Context // ends when a batch in work is to give up
	giveUp  context.CancelFunc
	done    sync.WaitGroup
}

// grouped is an event of a caller. Whoever takes it, the caller that goes away
// or a batch, does so once.
type grouped struct {
	msg      *nats.Msg
	taken    atomic.Bool
	answered chan struct{}
	sequence uint64
	err      error
}

func (g *grouped) answer(sequence uint64, err error) {
	g.sequence, g.err = sequence, err
	close(g.answered)
}

// NewGroup returns a group that works until Stop.
func NewGroup(js jetstream.JetStream) *Group {
	g := &Group{js: js, waiting: make(chan *grouped, groupWaiting)}
	g.working, g.giveUp = context.WithCancel(context.Background())
	for range groupFlights {
		g.done.Go(g.work)
	}
	return g
}

// Publish stores the event as package function Publish does, and tells its
// stream sequence, once its batch is on disk. When ctx ends first, the event
// may be stored all the same. A batch that the server refuses is published one
// by one, so nobody fails for another's event.
func (g *Group) Publish(ctx context.Context, e Event, messageID string) (uint64, error) {
	msg, err := message(g.js, e, messageID)
	if err != nil {
		return 0, fmt.Errorf("publish %s: %w", e.Type(), err)
	}
	own := &grouped{msg: msg, answered: make(chan struct{})}
	if err := g.enter(ctx, own); err != nil {
		return 0, fmt.Errorf("publish %s: %w", e.Type(), err)
	}
	select {
	case <-own.answered:
	case <-ctx.Done():
		own.taken.Store(true)
		return 0, fmt.Errorf("publish %s: %w", e.Type(), ctx.Err())
	}
	if own.err != nil {
		return 0, fmt.Errorf("publish %s: %w", e.Type(), own.err)
	}
	return own.sequence, nil
}

func (g *Group) enter(ctx context.Context, own *grouped) error {
	g.entry.RLock()
	defer g.entry.RUnlock()
	if g.closed {
		return ErrStopped
	}
	select {
	case g.waiting <- own:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop takes no more events, publishes those that wait until ctx ends, fails the
// rest, and returns when nothing is in work. It is idempotent.
func (g *Group) Stop(ctx context.Context) {
	if g == nil {
		return
	}
	defer context.AfterFunc(ctx, g.giveUp)()
	g.entry.Lock()
	if !g.closed {
		g.closed = true
		close(g.waiting)
	}
	g.entry.Unlock()
	g.done.Wait()
	g.giveUp()
}

func (g *Group) work() {
	for first := range g.waiting {
		batch, size := g.gather(nil, 0, first)
	gathering:
		for len(batch) < maxBatch && size < maxBatchBytes {
			select {
			case next, ok := <-g.waiting:
				if !ok {
					break gathering
				}
				batch, size = g.gather(batch, size, next)
			default:
				break gathering
			}
		}
		if len(batch) > 0 {
			g.publish(batch)
		}
	}
}

// gather adds an event to the batch unless its caller has gone.
func (g *Group) gather(batch []*grouped, size int, next *grouped) ([]*grouped, int) {
	if next.taken.Swap(true) {
		return batch, size
	}
	return append(batch, next), size + next.msg.Size()
}

func (g *Group) publish(batch []*grouped) {
	ctx, cancel := context.WithTimeout(g.working, groupPatience)
	defer cancel()
	if len(batch) >= minBatch {
		msgs := make([]*nats.Msg, len(batch))
		for i, own := range batch {
			msgs[i] = own.msg
		}
		sequences, err := atomically(ctx, g.js, msgs)
		if !errors.Is(err, errRefused) {
			for i, own := range batch {
				if err != nil {
					own.answer(0, err)
				} else {
					own.answer(sequences[i], nil)
				}
			}
			return
		}
	}
	var singles sync.WaitGroup
	for _, own := range batch {
		singles.Go(func() {
			ack, err := g.js.PublishMsg(ctx, own.msg)
			if err != nil {
				own.answer(0, err)
				return
			}
			own.answer(ack.Sequence, nil)
		})
	}
	singles.Wait()
}
