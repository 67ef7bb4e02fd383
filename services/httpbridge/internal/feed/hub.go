// Package feed spreads what services tell modules among the bridge's readers:
// one subscription for each stream of each module, however many read.
package feed

import (
	"context"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
)

// Bounds on the readers of one bridge.
const (
	MaxReaders = 2000
	MaxOfKey   = 40
)

// Cut is why a Hub ended a reader. Whoever it served has missed something and
// must begin anew.
type Cut string

// Reasons for a Cut.
const (
	Slow     Cut = "slow"     // it left more unread than is kept
	Lost     Cut = "lost"     // messages were lost, perhaps, on the way to the bridge
	Stopping Cut = "stopping" // the bridge stops
)

// Error makes a Cut the cause of a context's end.
func (c Cut) Error() string { return "the stream was cut: " + string(c) }

// Hub hears the streams of the modules that are read. It is safe for concurrent
// use.
type Hub struct {
	nats   *nats.Conn
	status chan nats.Status
	done   chan struct{}

	mu      sync.RWMutex
	topics  map[place]*topic
	ofKey   map[string]int
	readers int
	stopped bool
}

// place is a stream of a module.
type place struct{ stream, module string }

// topic is what a place hears.
type topic struct {
	sub     *nats.Subscription
	readers map[*Reader]struct{}
	dropped int // messages that sub is known to have lost
}

// NewHub returns a Hub that listens on the bridge's connection.
func NewHub(nc *nats.Conn) *Hub {
	h := &Hub{
		nats: nc, topics: map[place]*topic{}, ofKey: map[string]int{}, done: make(chan struct{}),
		status: nc.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED),
	}
	go h.watch()
	return h
}

// watch cuts all readers whenever the connection is lost.
func (h *Hub) watch() {
	defer close(h.done)
	for range h.status {
		h.mu.RLock()
		for _, t := range h.topics {
			t.cut(Lost)
		}
		h.mu.RUnlock()
	}
}

// Open returns a Reader of what the key may hear of a stream, from when Open
// returns on. It calls end once, should it cut the reader; end must not block. The caller
// closes the reader.
func (h *Hub) Open(ctx context.Context, stream *contract.Spec, key *contract.VerifyKeyResponse, end func(error)) (*Reader, error) {
	r := newReader(h, stream, key, end)
	if err := h.add(r); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, contract.DefaultTimeout)
	defer cancel()
	if err := h.nats.FlushWithContext(ctx); err != nil { // the server knows of the subscription by now
		r.Close()
		return nil, contract.Errorf(contract.Unavailable, "the bus is not available; try again")
	}
	return r, nil
}

func (h *Hub) add(r *Reader) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopped:
		return contract.Errorf(contract.Unavailable, "this replica is about to stop; try again")
	case h.readers >= MaxReaders:
		return contract.Errorf(contract.Unavailable, "this replica serves no more streams; try again")
	case h.ofKey[r.key] >= MaxOfKey:
		return &contract.Error{
			Code: contract.RateLimited, Field: contract.HeaderAPIKey, RetryAfter: 10,
			Message: "the API key has as many open streams as it may; close one, or share it",
		}
	case !h.nats.IsConnected():
		return contract.Errorf(contract.Unavailable, "the bus is not available; try again")
	}
	t := h.topics[r.at]
	if t == nil {
		t = &topic{readers: map[*Reader]struct{}{}}
		var err error
		if t.sub, err = h.nats.Subscribe(r.subject, func(msg *nats.Msg) { h.spread(t, msg) }); err != nil {
			return contract.Errorf(contract.Unavailable, "the bus is not available; try again")
		}
		h.topics[r.at] = t
	}
	t.readers[r] = struct{}{}
	h.ofKey[r.key]++
	h.readers++
	return nil
}

func (h *Hub) remove(r *Reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[r.at]
	if t == nil {
		return
	}
	if _, there := t.readers[r]; !there {
		return
	}
	delete(t.readers, r)
	h.readers--
	if h.ofKey[r.key]--; h.ofKey[r.key] == 0 {
		delete(h.ofKey, r.key)
	}
	if len(t.readers) == 0 {
		_ = t.sub.Unsubscribe() // gone with its connection, if it fails
		delete(h.topics, r.at)
	}
}

// spread runs on the subscription's goroutine and never blocks.
func (h *Hub) spread(t *topic, msg *nats.Msg) {
	tenant := msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:]
	frame := frame(msg.Data)
	h.mu.RLock()
	defer h.mu.RUnlock()
	if dropped, err := msg.Sub.Dropped(); err == nil && dropped != t.dropped {
		t.dropped = dropped // nobody else writes it
		t.cut(Lost)
	}
	for r := range t.readers {
		r.push(tenant, frame)
	}
}

func (t *topic) cut(why Cut) {
	for r := range t.readers {
		r.cut(why)
	}
}

// Readers returns how many there are.
func (h *Hub) Readers() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.readers
}

// Stop cuts all readers and takes no more. It is idempotent.
func (h *Hub) Stop() {
	if h == nil {
		return
	}
	h.mu.Lock()
	first := !h.stopped
	h.stopped = true
	for _, t := range h.topics {
		t.cut(Stopping)
	}
	h.mu.Unlock()
	if first {
		h.nats.RemoveStatusListener(h.status)
	}
	<-h.done
}
