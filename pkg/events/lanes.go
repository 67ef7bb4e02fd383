package events

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// waitingLanes is how many events wait for their turn beside those in work. A
	// key that fails and has that many waiting holds up the others too, until it
	// succeeds or is given up.
	waitingLanes = 256
	lanesGroup   = "lanes"
	turnHeader   = "Nats-Pin-Id"
	// gatherWait is between two looks at what the bus holds to be in work.
	gatherWait = 20 * time.Millisecond
)

// lanes handle the events of many keys at once: each key's in order, in a lane of
// its own, no more than Parallel at a time.
//
// What the process before had in work comes again in any order and at any time, so
// a turn begins with gathering: until all that the bus holds to be in work is here.
//
//	taken ──▶ the key's lane ──first──▶ a place ──▶ handle ──nil──▶ acknowledged
//	                              ▲                    │ error: the place is free for others
//	                              └────── pause ───────┘
type lanes struct {
	c       *Consumer
	running context.Context
	places  chan struct{}
	done    sync.WaitGroup
	kept    context.Context // ends when nothing is in work any more
	letGo   context.CancelFunc

	mu       sync.Mutex
	byKey    map[string][]*laned
	held     map[uint64]*laned // by stream sequence: what is not settled yet
	turn     string            // the bus's name for the time in which this process works
	gathers  bool              // the turn has just begun
	gathered []*laned
}

type laned struct {
	mu       sync.Mutex
	msg      jetstream.Msg
	sequence uint64
	event    Event
	err      error // it is no event
	before   int   // deliveries before this one
}

func newLanes(running context.Context, c *Consumer) *lanes {
	l := &lanes{
		c: c, running: running, places: make(chan struct{}, max(c.cfg.Parallel, 1)),
		byKey: map[string][]*laned{}, held: map[uint64]*laned{}, turn: "none",
	}
	l.kept, l.letGo = context.WithCancel(context.Background())
	go l.keep()
	return l
}

// take puts a message at the end of its key's lane.
func (l *lanes) take(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil || l.running.Err() != nil {
		_ = msg.Nak()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.held[meta.Sequence.Stream]; known != nil { // the bus heard too late that it is in work
		known.replace(msg)
		return
	}
	m := &laned{msg: msg, sequence: meta.Sequence.Stream, before: int(meta.NumDelivered) - 1}
	m.event, m.err = Decode(msg.Headers(), msg.Data())
	l.held[m.sequence] = m
	if turn := msg.Headers().Get(turnHeader); turn != l.turn {
		l.turn, l.gathers = turn, true
		l.done.Go(l.gather)
	}
	if l.gathers {
		l.gathered = append(l.gathered, m)
		return
	}
	l.enter(m)
}

// enter puts a message at the end of its lane. mu is held.
func (l *lanes) enter(m *laned) {
	key := "" // what is no event waits for nobody's
	if m.err == nil {
		key = "=" + l.c.cfg.Key(m.event)
	}
	l.byKey[key] = append(l.byKey[key], m)
	if len(l.byKey[key]) == 1 {
		l.done.Go(func() { l.work(key) })
	}
}

// gather waits until all that is in work, for the bus, is held here, and begins
// with it in stream order.
func (l *lanes) gather() {
	begin := time.Now()
	for l.running.Err() == nil && time.Since(begin) < 3*l.c.cfg.AckWait {
		if l.holdsAll() {
			break
		}
		select {
		case <-l.running.Done():
			return
		case <-time.After(gatherWait):
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortFunc(l.gathered, inSequence)
	for _, m := range l.gathered {
		l.enter(m)
	}
	l.gathers, l.gathered = false, nil
}

func (l *lanes) holdsAll() bool {
	ctx, cancel := context.WithTimeout(l.running, time.Second)
	defer cancel()
	consumer, err := l.c.js.Consumer(ctx, l.c.cfg.Stream, l.c.cfg.Durable)
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return consumer.CachedInfo().NumAckPending <= len(l.held)
}

func inSequence(a, b *laned) int { return cmp.Compare(a.sequence, b.sequence) }

func (m *laned) replace(msg jetstream.Msg) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.msg = msg
}

func (m *laned) message() jetstream.Msg {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.msg
}

// work handles a lane's events until it is empty.
func (l *lanes) work(key string) {
	for {
		l.mu.Lock()
		first := l.byKey[key][0]
		l.mu.Unlock()
		if !l.handle(first) {
			return // stopped
		}
		l.mu.Lock()
		delete(l.held, first.sequence)
		rest := l.byKey[key][1:]
		if len(rest) == 0 {
			delete(l.byKey, key)
			l.mu.Unlock()
			return
		}
		l.byKey[key] = rest
		l.mu.Unlock()
	}
}

// handle tries until the event is settled; false is that the consumer stopped.
func (l *lanes) handle(m *laned) bool {
	for tries := m.before + 1; ; tries++ {
		select {
		case l.places <- struct{}{}:
		case <-l.running.Done():
			return false
		}
		if l.running.Err() != nil {
			<-l.places
			return false
		}
		err := m.err
		if err == nil {
			err = Try(l.c.working, l.c.handle, m.event)
		}
		<-l.places
		if l.c.settled(m.message(), m.event, err, tries) {
			return true
		}
		select {
		case <-l.running.Done():
			return false
		case <-time.After(RetryPause(tries)):
		}
	}
}

// keep tells the bus of all that is held that it is in work.
func (l *lanes) keep() {
	ticker := time.NewTicker(l.c.cfg.AckWait / 3)
	defer ticker.Stop()
	for {
		select {
		case <-l.kept.Done():
			return
		case <-ticker.C:
		}
		for _, m := range l.unsettled() {
			_ = m.message().InProgress()
		}
	}
}

func (l *lanes) unsettled() []*laned {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*laned, 0, len(l.held))
	for _, m := range l.held {
		all = append(all, m)
	}
	slices.SortFunc(all, inSequence)
	return all
}

// stop waits for the handlers, gives back what was not handled, in order, and
// lets another process take over.
func (l *lanes) stop() {
	l.done.Wait()
	l.letGo()
	for _, m := range l.unsettled() {
		_ = m.message().Nak()
	}
	if l.c.cfg.Provide != nil {
		return // it is for whoever made it
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if stream, err := l.c.js.Stream(ctx, l.c.cfg.Stream); err == nil {
		_ = stream.UnpinConsumer(ctx, l.c.cfg.Durable, lanesGroup) // else it takes the time of PinnedTTL
	}
}
