package sdk

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

const (
	// inWork bounds what was read and is not handled yet.
	inWork = 256
	// saveEvery is how often the place is saved at most, and saveAgain when that
	// failed.
	saveEvery = 100 * time.Millisecond
	saveAgain = time.Second
	// finishTime is what handlers have left when a subscription ends.
	finishTime = 10 * time.Second
)

// remote is a subscription over HTTPS: it keeps its own place.
//
//	stream ──▶ lane of the key ──▶ handled ──▶ the place, when all before it are
//	  ▲ breaks │                      ▲ │ error: others have its turn
//	  └────────┘ behind what was read └─┘ pause
type remote struct {
	client    *Client
	transport Streamer
	s         Subscription
	handle    events.Handler

	ctx     context.Context // ends when no more is begun
	stop    context.CancelFunc
	working context.Context // of handlers: ends when they are to give up
	giveUp  context.CancelFunc
	turns   chan struct{} // one for each that is handled
	room    chan struct{} // one for each in queue
	moved   chan struct{} // told when there is a place to save
	lanes   sync.WaitGroup
	saver   sync.WaitGroup

	read  string // the last place that was read, for the goroutine of follow
	saved string // for that of keep, and then of finish

	mu    sync.Mutex
	place string // up to which all was handled
	queue []*remoteEvent
	byKey map[string][]*remoteEvent
}

// remoteEvent is one that was read and is not settled, or behind such a one.
type remoteEvent struct {
	id    string
	place string // where the module is once it is settled
	data  []byte
	event events.Event
	err   error // it is no event
	done  bool
}

// structured is the header of what the stream tells.
var structured = nats.Header{"content-type": {"application/cloudevents+json"}}

// remote begins at the place where the module was. The caller calls finish.
func (c *Client) remote(ctx context.Context, transport Streamer, s Subscription, handle events.Handler) (*remote, error) {
	r := &remote{
		client: c, transport: transport, s: s, handle: handle,
		turns: make(chan struct{}, max(s.Parallel, 1)), room: make(chan struct{}, inWork),
		moved: make(chan struct{}, 1), byKey: map[string][]*remoteEvent{},
	}
	if s.Place != nil {
		place, err := s.Place.Load(ctx)
		if err != nil {
			return nil, fmt.Errorf("sdk: the place in the events: %w", err)
		}
		r.read, r.place, r.saved = place, place, place
	}
	r.ctx, r.stop = context.WithCancel(ctx)
	r.working, r.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	if s.Place != nil {
		r.saver.Go(r.keep)
	}
	return r, nil
}

// follow reads the stream until it breaks; what was read is worked off meanwhile,
// and afterwards.
func (r *remote) follow() (worked bool, err error) {
	err = r.transport.Stream(r.ctx, contract.GrantedEvents.Spec, r.s.query(r.read), r.read, func() {
		if worked = true; r.read == "" {
			r.client.missed(r.s)
		}
	}, r.take)
	return worked, err
}

// take puts what the stream tells at the end of its key's lane, when there is room.
func (r *remote) take(event, id string, data []byte) {
	switch {
	case event == "gap":
		r.client.missed(r.s)
		return
	case data == nil:
		r.pass(id)
		return
	}
	select {
	case r.room <- struct{}{}:
	case <-r.ctx.Done():
		return
	}
	e := &remoteEvent{id: id, place: id, data: data}
	e.event, e.err = events.Decode(structured, data)
	key := r.key(e)
	r.read = id
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, e)
	r.byKey[key] = append(r.byKey[key], e)
	if len(r.byKey[key]) == 1 {
		r.lanes.Go(func() { r.work(key) })
	}
}

// pass goes on to a place before which there was nothing for the module.
func (r *remote) pass(id string) {
	r.read = id
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.queue); n > 0 {
		r.queue[n-1].place = id
		return
	}
	r.reach(id)
}

// reach moves the place; mu is held.
func (r *remote) reach(place string) {
	r.place = place
	select {
	case r.moved <- struct{}{}:
	default:
	}
}

// key is whose order matters; what is no event waits for nobody's.
func (r *remote) key(e *remoteEvent) string {
	switch {
	case e.err != nil:
		return ""
	case r.s.Parallel < 2:
		return "="
	case r.s.Key != nil:
		return "=" + r.s.Key(e.event)
	}
	return "=" + events.Extension(e.event, events.TenantID)
}

// work settles a lane's events until it is empty.
func (r *remote) work(key string) {
	for {
		r.mu.Lock()
		first := r.byKey[key][0]
		r.mu.Unlock()
		if !r.settle(first) {
			return // stopped: it comes again
		}
		r.mu.Lock()
		first.done = true
		r.advance()
		rest := r.byKey[key][1:]
		if len(rest) == 0 {
			delete(r.byKey, key)
			r.mu.Unlock()
			return
		}
		r.byKey[key] = rest
		r.mu.Unlock()
	}
}

// advance moves the place over what is settled; mu is held.
func (r *remote) advance() {
	n := 0
	for n < len(r.queue) && r.queue[n].done {
		r.reach(r.queue[n].place)
		<-r.room
		n++
	}
	clear(r.queue[:n])
	r.queue = r.queue[n:]
}

// settle tries until the event is handled or given up; false is that the
// subscription ended first.
func (r *remote) settle(e *remoteEvent) bool {
	for tries := 1; ; tries++ {
		select {
		case r.turns <- struct{}{}:
		case <-r.ctx.Done():
			return false
		}
		if r.ctx.Err() != nil {
			<-r.turns
			return false
		}
		err := e.err
		if err == nil {
			err = events.Try(r.working, r.handle, e.event)
		}
		<-r.turns
		if err == nil || r.isGivenUp(e, tries, err) {
			return true
		}
		select {
		case <-r.ctx.Done():
			return false
		case <-time.After(events.RetryPause(tries)):
		}
	}
}

// isGivenUp gives an event up whose handler failed, if that is asked for. What failed
// because the subscription ends was not tried.
func (r *remote) isGivenUp(e *remoteEvent, tries int, reason error) bool {
	log := r.client.log.With("type", e.event.Type(), "place", e.id, "tries", tries)
	switch {
	case r.working.Err() != nil:
		return false
	case !errors.Is(reason, events.ErrMalformed) && (r.s.MaxTries == 0 || tries < r.s.MaxTries):
		log.Warn("an event was not handled; will try again", "error", reason)
		return false
	}
	log.Error("an event was given up", "error", reason)
	if r.s.GivenUp == nil {
		return true
	}
	sequence, _ := strconv.ParseUint(e.id, 10, 64) // the core's ids are
	err := r.s.GivenUp.Put(r.working, events.DeadLetter{
		Consumer: "mod_" + r.client.module, Stream: events.GrantedStream, Sequence: sequence, Subject: e.event.Subject(),
		Tries: tries, Reason: reason.Error(), Time: time.Now(), Header: structured, Data: e.data,
	})
	if err != nil {
		log.Warn("what was given up was not kept; will try again", "error", err)
	}
	return err == nil
}

// keep saves the place soon after it moved.
func (r *remote) keep() {
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.moved:
		}
		pause := saveEvery
		if !r.save(r.ctx) {
			pause = saveAgain
			r.again()
		}
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (r *remote) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reach(r.place)
}

// save keeps the place; what is not saved is handled again by the next process.
func (r *remote) save(ctx context.Context) bool {
	r.mu.Lock()
	place := r.place
	r.mu.Unlock()
	if place == r.saved {
		return true
	}
	saving, cancel := context.WithTimeout(ctx, contract.DefaultTimeout)
	defer cancel()
	if err := r.s.Place.Save(saving, place); err != nil {
		if ctx.Err() == nil {
			r.client.log.Warn("the place in the events was not saved", "error", err)
		}
		return false
	}
	r.saved = place
	return true
}

// finish begins no more, and waits for what is in work.
func (r *remote) finish() {
	r.stop()
	late := time.AfterFunc(finishTime, r.giveUp)
	defer late.Stop()
	r.lanes.Wait()
	r.giveUp()
	r.saver.Wait()
	if r.s.Place != nil {
		r.save(context.WithoutCancel(r.ctx))
	}
}
