package granted

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

const (
	takenAtOnce = 256
	// readAtOnce is how many messages of the stream are looked at together.
	readAtOnce = 256
	// forgotten is after how long the bus forgets where a reader was in the stream.
	forgotten = 30 * time.Second
)

// Reader reads the events of a module behind a place. It is for one goroutine.
//
//	what is kept ◀──caught up── the stream
//	     └──────fell behind────────▲
type Reader struct {
	hub     *Hub
	key     *contract.VerifyKeyResponse
	selects func(tenant, name string) bool
	end     func(error)
	ready   chan struct{}

	after   uint64 // up to which it has taken, or what it took it did not select
	told    uint64 // the last id that it was given
	resumes bool   // nothing was taken yet, and it was there before
	begins  bool   // nothing was taken yet, and it does not know its place
	stream  jetstream.Consumer
}

// Ready is told when there is something to Take.
func (r *Reader) Ready() <-chan struct{} { return r.ready }

func (r *Reader) wake() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// Take returns the next events; when there are more, Ready is told again. They are
// shared and must not be changed.
func (r *Reader) Take(ctx context.Context) ([][]byte, error) {
	var frames [][]byte
	if r.begins { // to go on from it when the stream breaks before anything comes
		r.begins = false
		frames = append(frames, place(r.told))
	}
	if r.resumes {
		r.resumes = false
		gap, err := r.gap(ctx)
		if err != nil {
			return nil, err
		}
		frames = append(frames, gap...)
	}
	taken, more, behind := r.take()
	if behind {
		var err error
		if taken, more, err = r.read(ctx); err != nil {
			return nil, err
		}
	}
	if more {
		r.wake()
	}
	return append(frames, taken...), nil
}

// take takes what is kept. Who is behind that is told so.
func (r *Reader) take() (frames [][]byte, more, behind bool) {
	h := r.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[r.key.Module]
	if r.after < t.from {
		return nil, false, true
	}
	r.stream = nil
	i := sort.Search(len(t.kept), func(i int) bool { return t.kept[i].sequence > r.after })
	for ; i < len(t.kept); i++ {
		if len(frames) == takenAtOnce {
			return frames, true, false
		}
		k := t.kept[i]
		if r.after = k.sequence; r.wants(k.tenant, k.name) {
			frames = append(frames, k.frame)
			r.told = k.sequence
		}
	}
	r.after = max(r.after, h.through) // another bridge may have read further
	return frames, false, false
}

func (r *Reader) wants(tenant, name string) bool {
	return (len(r.key.Tenants) == 0 || slices.Contains(r.key.Tenants, tenant)) && r.selects(tenant, name)
}

// read reads the stream. Not all that are behind do so at a time.
func (r *Reader) read(ctx context.Context) (frames [][]byte, more bool, err error) {
	select {
	case r.hub.behind <- struct{}{}:
		defer func() { <-r.hub.behind }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	asking, cancel := context.WithTimeout(ctx, contract.DefaultTimeout)
	defer cancel()
	r.hub.mu.Lock()
	through := r.hub.through
	r.hub.mu.Unlock()
	if r.stream == nil {
		if r.stream, err = r.hub.js.OrderedConsumer(asking, events.GrantedStream, jetstream.OrderedConsumerConfig{
			FilterSubjects: events.GrantedSubjects(r.key.Module, r.key.Tenants...),
			DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.after + 1, InactiveThreshold: forgotten,
		}); err != nil {
			return nil, false, err
		}
	}
	batch, err := r.stream.FetchNoWait(readAtOnce)
	if err != nil {
		return nil, false, err
	}
	n := 0
	for msg := range batch.Messages() {
		n++
		meta, err := msg.Metadata()
		if err != nil {
			return nil, false, err
		}
		r.after = meta.Sequence.Stream
		_, tenant, name, ok := events.SplitGranted(msg.Subject())
		if !ok || !r.wants(tenant, name) {
			continue
		}
		frame, err := frameOf(r.after, msg)
		if err != nil {
			continue // the hub has told
		}
		frames = append(frames, frame)
		r.told = r.after
	}
	if err := batch.Error(); err != nil {
		return nil, false, err
	}
	if n < readAtOnce { // that was all
		r.after = max(r.after, through)
	}
	return frames, true, nil
}

// gap says what a reader that was there before has perhaps missed: the stream does
// not reach back to where it was, or is another one.
func (r *Reader) gap(ctx context.Context) ([][]byte, error) {
	asking, cancel := context.WithTimeout(ctx, contract.DefaultTimeout)
	defer cancel()
	stream, err := r.hub.js.Stream(asking, events.GrantedStream)
	if err != nil {
		return nil, err
	}
	state := stream.CachedInfo().State
	was := r.after
	switch {
	case r.after > state.LastSeq:
		r.after = 0 // all of the other one is new
	case r.after+1 >= state.FirstSeq:
		return nil, nil
	}
	return [][]byte{fmt.Appendf(nil, "event: gap\ndata: {\"after\":%d,\"before\":%d}\n\n", was, state.FirstSeq)}, nil
}

// Beat says that the stream is still there, and up to where it was read.
func (r *Reader) Beat() []byte {
	r.rest()
	if r.after > r.told {
		r.told = r.after
		return place(r.told)
	}
	return []byte(":\n\n")
}

// place tells a place alone.
func place(id uint64) []byte { return fmt.Appendf(nil, "id: %d\n\n", id) }

// rest passes over what was for others, if there is nothing to take.
func (r *Reader) rest() {
	h := r.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[r.key.Module]
	if r.after >= t.from && (len(t.kept) == 0 || t.kept[len(t.kept)-1].sequence <= r.after) {
		r.after = max(r.after, h.through)
	}
}

// Close ends the reading. It is idempotent.
func (r *Reader) Close() { r.hub.remove(r) }
