// Package granted lets modules read the events that they may hear: stream GRANTED is
// read once, however many readers there are, and what was read last is kept for
// those that are a little behind. Who is further behind reads the stream.
package granted

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/httpbridge/internal/feed"
)

// Bounds on the readers of one bridge.
const (
	MaxReaders = 4000
	MaxOfKey   = 40
)

const (
	keptEvents = 1024    // of each module that is read
	keptBytes  = 1 << 20 // of these
	tryAgain   = time.Second
	// behindAtOnce is how many readers read the stream at a time.
	behindAtOnce = 16
)

// Hub reads stream GRANTED. It is safe for concurrent use.
type Hub struct {
	js     jetstream.JetStream
	log    *slog.Logger
	behind chan struct{} // a place for each that reads the stream
	end    context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	reads   bool   // the stream is there
	through uint64 // up to which it was read
	topics  map[string]*topic
	ofKey   map[string]int
	readers int
	stopped bool
}

// topic is what was read last of a module's events.
type topic struct {
	from    uint64 // all that is behind it is here
	kept    []kept
	bytes   int
	readers map[*Reader]struct{}
}

type kept struct {
	sequence     uint64
	tenant, name string
	frame        []byte
}

// NewHub returns a Hub that reads as soon as the stream exists.
func NewHub(js jetstream.JetStream, log *slog.Logger) *Hub {
	h := &Hub{
		js: js, log: log, behind: make(chan struct{}, behindAtOnce), done: make(chan struct{}),
		topics: map[string]*topic{}, ofKey: map[string]int{},
	}
	ctx, end := context.WithCancel(context.Background())
	h.end = end
	go h.run(ctx)
	return h
}

func (h *Hub) run(ctx context.Context) {
	defer close(h.done)
	for told := false; ctx.Err() == nil; {
		err := h.read(ctx, func() { told = false })
		if ctx.Err() != nil {
			return
		}
		if !told {
			h.log.Warn("events for modules cannot be read; will try again", "error", err)
			told = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(tryAgain):
		}
	}
}

// read reads on until something fails. It calls begun once it reads.
func (h *Hub) read(ctx context.Context, begun func()) error {
	stream, err := h.js.Stream(ctx, events.GrantedStream)
	if err != nil {
		return err
	}
	from := h.begin(stream.CachedInfo().State.LastSeq)
	consumer, err := h.js.OrderedConsumer(ctx, events.GrantedStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from + 1,
	})
	if err != nil {
		return err
	}
	reading, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer reading.Stop()
	begun()
	for {
		msg, err := reading.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		if err := h.take(msg); err != nil {
			return err
		}
	}
}

// begin is where to read on: at the stream's end for the first time, and when it is
// another one.
func (h *Hub) begin(last uint64) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.reads || last < h.through {
		h.reads, h.through = true, last
		for _, t := range h.topics {
			t.drop(last)
		}
		h.cut(feed.Lost) // they know another stream's places
	}
	return h.through
}

func (h *Hub) take(msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	sequence := meta.Sequence.Stream
	module, tenant, name, ok := events.SplitGranted(msg.Subject())
	h.mu.Lock()
	t := h.topics[module]
	h.mu.Unlock()
	var frame []byte
	if ok && t != nil && name != "" { // it is read by somebody
		if frame, err = frameOf(sequence, msg); err != nil {
			h.log.Error("an event for modules that cannot be read", "subject", msg.Subject(), "error", err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if sequence > h.through+1 { // the bridge was away, and what is between is gone
		for _, other := range h.topics {
			other.drop(sequence - 1)
		}
	}
	h.through = sequence
	switch t = h.topics[module]; {
	case t == nil:
	case name == "":
		t.drop(sequence) // what is still granted can be read from the stream
	case frame != nil:
		t.add(kept{sequence, tenant, name, frame})
	default: // the module became one that is read just now
		t.drop(sequence)
		t.wake()
	}
	return nil
}

// frameOf is the event as a server-sent one.
func frameOf(sequence uint64, msg jetstream.Msg) ([]byte, error) {
	e, err := events.Decode(msg.Headers(), msg.Data())
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(e) // on one line
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "id: %d\ndata: %s\n\n", sequence, data), nil
}

func (t *topic) drop(through uint64) { t.kept, t.bytes, t.from = nil, 0, through }

func (t *topic) add(k kept) {
	t.kept = append(t.kept, k)
	t.bytes += len(k.frame)
	gone := 0
	for len(t.kept)-gone > 1 && (len(t.kept)-gone > keptEvents || t.bytes > keptBytes) {
		t.bytes -= len(t.kept[gone].frame)
		t.from = t.kept[gone].sequence
		gone++
	}
	clear(t.kept[:gone])
	t.kept = t.kept[gone:]
	t.wake()
}

func (t *topic) wake() {
	for r := range t.readers {
		r.wake()
	}
}

// cut ends all readers; the caller holds the lock.
func (h *Hub) cut(why feed.Cut) {
	for _, t := range h.topics {
		for r := range t.readers {
			r.end(why)
		}
	}
}

// Open returns a Reader of what the key may hear behind a place, from now on
// without one, cut down to what selects says. It calls end, perhaps more than once,
// should it cut the reader; end must not block. The caller closes the reader.
func (h *Hub) Open(key *contract.VerifyKeyResponse, after *uint64, selects func(tenant, name string) bool, end func(error)) (*Reader, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopped:
		return nil, contract.Errorf(contract.Unavailable, "this replica is about to stop; try again")
	case !h.reads:
		return nil, contract.Errorf(contract.Unavailable, "the bus is not available; try again")
	case h.readers >= MaxReaders:
		return nil, contract.Errorf(contract.Unavailable, "this replica serves no more streams; try again")
	case h.ofKey[key.ID] >= MaxOfKey:
		return nil, &contract.Error{
			Code: contract.RateLimited, Field: contract.HeaderAPIKey, RetryAfter: 10,
			Message: "the API key has as many open streams as it may; close one, or share it",
		}
	}
	r := &Reader{hub: h, key: key, after: h.through, told: h.through, selects: selects, end: end, ready: make(chan struct{}, 1)}
	if after != nil {
		r.after, r.told, r.resumes = *after, *after, *after > 0
	}
	r.begins = after == nil
	r.wake()
	t := h.topics[key.Module]
	if t == nil {
		t = &topic{from: h.through, readers: map[*Reader]struct{}{}}
		h.topics[key.Module] = t
	}
	t.readers[r] = struct{}{}
	h.ofKey[key.ID]++
	h.readers++
	return r, nil
}

func (h *Hub) remove(r *Reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[r.key.Module]
	if t == nil {
		return
	}
	if _, there := t.readers[r]; !there {
		return
	}
	delete(t.readers, r)
	h.readers--
	if h.ofKey[r.key.ID]--; h.ofKey[r.key.ID] == 0 {
		delete(h.ofKey, r.key.ID)
	}
}

// Readers returns how many there are.
func (h *Hub) Readers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readers
}

// Stop ends all readers and takes no more. It is idempotent.
func (h *Hub) Stop() {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.stopped = true
	h.cut(feed.Stopping)
	h.mu.Unlock()
	h.end()
	<-h.done
}
