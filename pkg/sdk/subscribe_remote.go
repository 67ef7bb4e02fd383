package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

const (
	// inWork bounds what was read and is not handled yet.
	inWork = 256
	// saveEvery is how often the place is saved at most, while events come.
	saveEvery = 100 * time.Millisecond
)

// remote is a subscription over HTTPS: it keeps its own place.
//
//	stream ──▶ lane of the key ──▶ handled ──▶ the place, when all before it are
type remote struct {
	client    *Client
	transport Streamer
	s         Subscription
	handle    events.Handler
	last      string // up to which all was handled
	saved     string
	savedAt   time.Time
}

// begin finds the place where the module was.
func (r *remote) begin(ctx context.Context) error {
	if r.s.Place == nil {
		return nil
	}
	last, err := r.s.Place.Load(ctx)
	if err != nil {
		return fmt.Errorf("sdk: the place in the events: %w", err)
	}
	r.last, r.saved = last, last
	return nil
}

// read reads the stream until it breaks, and then until all that was read is
// handled, or ctx ends.
func (r *remote) read(ctx context.Context) (worked bool, err error) {
	l := newRemoteLanes(ctx, r)
	err = r.transport.Stream(ctx, contract.GrantedEvents.Spec, r.s.query(r.last), r.last, func() { worked = true }, func(event, id string, data []byte) {
		switch {
		case event == "gap":
			r.client.missed(r.s)
		case data == nil:
			l.add(id, events.Event{}, nil)
		default:
			var e events.Event
			if err := json.Unmarshal(data, &e); err != nil {
				r.client.log.Error("an event that cannot be read is passed over", "place", id, "error", err)
				l.add(id, events.Event{}, nil)
				return
			}
			l.add(id, e, data)
		}
	})
	l.wait()
	r.save(context.WithoutCancel(ctx), true)
	return worked, err
}

// save keeps the place; what is not saved is handled again by the next process.
func (r *remote) save(ctx context.Context, now bool) {
	if r.s.Place == nil || r.last == r.saved || !now && time.Since(r.savedAt) < saveEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, contract.DefaultTimeout)
	defer cancel()
	if err := r.s.Place.Save(ctx, r.last); err != nil {
		r.client.log.Warn("the place in the events was not saved; will try again", "error", err)
		return
	}
	r.saved, r.savedAt = r.last, time.Now()
}

// remoteLanes handle events, each key's in order.
type remoteLanes struct {
	*remote
	ctx   context.Context
	lanes []chan *remoteEvent
	done  sync.WaitGroup

	mu    sync.Mutex
	freed chan struct{} // told when there is room again
	queue []*remoteEvent
}

type remoteEvent struct {
	id    string
	event events.Event
	data  []byte // none is an id alone
	done  bool
}

func newRemoteLanes(ctx context.Context, r *remote) *remoteLanes {
	l := &remoteLanes{remote: r, ctx: ctx, freed: make(chan struct{}, 1)}
	for range max(r.s.Parallel, 1) {
		lane := make(chan *remoteEvent, inWork)
		l.lanes = append(l.lanes, lane)
		l.done.Go(func() {
			for e := range lane {
				if !l.work(e) {
					return // ended; the rest comes again
				}
			}
		})
	}
	return l
}

// add waits until there is room.
func (l *remoteLanes) add(id string, e events.Event, data []byte) {
	own := &remoteEvent{id: id, event: e, data: data, done: data == nil}
	for {
		l.mu.Lock()
		if len(l.queue) < inWork {
			l.queue = append(l.queue, own)
			l.advance()
			l.mu.Unlock()
			break
		}
		l.mu.Unlock()
		select {
		case <-l.freed:
		case <-l.ctx.Done():
			return
		}
	}
	if data != nil {
		l.lanes[l.lane(e)] <- own // it has room for all in work
	}
}

func (l *remoteLanes) lane(e events.Event) int {
	if len(l.lanes) == 1 {
		return 0
	}
	key := events.Extension(e, events.TenantID)
	if l.s.Key != nil {
		key = l.s.Key(e)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // it never fails
	return int(h.Sum32() % uint32(len(l.lanes)))
}

// advance moves the place over what is handled; mu is held.
func (l *remoteLanes) advance() {
	n := 0
	for n < len(l.queue) && l.queue[n].done {
		if l.queue[n].id != "" {
			l.last = l.queue[n].id
		}
		n++
	}
	if n > 0 {
		clear(l.queue[:n])
		l.queue = l.queue[n:]
		l.save(l.ctx, false)
		select {
		case l.freed <- struct{}{}:
		default:
		}
	}
}

// work tries until the event is settled; false is that ctx has ended.
func (l *remoteLanes) work(e *remoteEvent) bool {
	for tries := 1; l.ctx.Err() == nil; tries++ {
		err := events.Try(l.ctx, l.handle, e.event)
		if err == nil || l.giveUp(e, tries, err) {
			l.mu.Lock()
			e.done = true
			l.advance()
			l.mu.Unlock()
			return true
		}
		select {
		case <-l.ctx.Done():
		case <-time.After(events.RetryPause(tries)):
		}
	}
	return false
}

// giveUp reports whether the event is settled though its handler failed.
func (l *remoteLanes) giveUp(e *remoteEvent, tries int, reason error) bool {
	log := l.client.log.With("type", e.event.Type(), "id", e.event.ID(), "tries", tries)
	if !errors.Is(reason, events.ErrMalformed) && (l.s.MaxTries == 0 || tries < l.s.MaxTries) {
		if l.ctx.Err() == nil {
			log.Warn("an event was not handled; will try again", "error", reason)
		}
		return false
	}
	log.Error("an event was given up", "error", reason)
	if l.s.GivenUp == nil {
		return true
	}
	msg, err := events.EncodeStructured(e.event)
	if err != nil {
		return true // nothing can be kept of it
	}
	err = l.s.GivenUp.Put(l.ctx, events.DeadLetter{
		Stream: events.GrantedStream, Subject: msg.Subject, Tries: tries, Reason: reason.Error(), Time: time.Now(), Header: msg.Header, Data: msg.Data,
	})
	if err != nil {
		log.Warn("what was given up was not kept; will try again", "error", err)
	}
	return err == nil
}

// wait waits for what was read.
func (l *remoteLanes) wait() {
	for _, lane := range l.lanes {
		close(lane)
	}
	l.done.Wait()
}
