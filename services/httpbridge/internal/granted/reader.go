package granted

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

const takenAtOnce = 256

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

	after   uint64             // up to which it has taken, or what it took it did not select
	told    uint64             // the last id that it was given
	resumes bool               // nothing was taken yet, and it was there before
	begins  bool               // nothing was taken yet, and it does not know its place
	stream  jetstream.Consumer // of one that is behind
	brought uint64             // by it
	missed  uint64             // what was before has been told to be missed
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
	switch {
	case behind:
		var err error
		if taken, more, err = r.read(ctx); err != nil {
			return nil, err
		}
	case r.stream != nil:
		r.leave(ctx)
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
	case max(r.after+1, r.missed) >= state.FirstSeq:
		return nil, nil
	}
	r.missed = state.FirstSeq
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
