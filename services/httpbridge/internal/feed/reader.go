package feed

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/buildify/core/pkg/contract"
)

// What is kept for a reader until it reads; at more it is cut. One message is
// kept however large it is.
const (
	maxFrames = 512
	maxBytes  = 1 << 20
)

// Reader is one that reads a stream of a module.
//
//	open ── push beyond what is kept, bus lost, Stop ──▶ cut
type Reader struct {
	hub     *Hub
	key     string
	at      place
	subject string   // of all tenants
	tenants []string // empty is all
	end     func(error)
	ready   chan struct{}

	mu     sync.Mutex
	frames [][]byte
	bytes  int
	over   bool
}

func newReader(h *Hub, stream *contract.Spec, key *contract.VerifyKeyResponse, end func(error)) *Reader {
	return &Reader{
		hub: h, key: key.ID, at: place{stream.Name, key.Module}, subject: contract.StreamSubject(stream, key.Module, "*"),
		tenants: key.Tenants, end: end, ready: make(chan struct{}, 1),
	}
}

// frame is a message as a server-sent event. JSON has line breaks as white
// space only, if at all.
func frame(data []byte) []byte {
	out := make([]byte, 0, len(data)+8)
	out = append(append(out, "data: "...), data...)
	for _, b := range []byte{'\n', '\r'} {
		if bytes.IndexByte(out, b) >= 0 {
			out = bytes.ReplaceAll(out, []byte{b}, []byte{' '})
		}
	}
	return append(out, "\n\n"...)
}

func (r *Reader) push(tenant string, frame []byte) {
	if len(r.tenants) > 0 && !contract.ForEveryKey(tenant) && !slices.Contains(r.tenants, tenant) {
		return
	}
	r.mu.Lock()
	full := len(r.frames) > 0 && (len(r.frames) >= maxFrames || r.bytes+len(frame) > maxBytes)
	if !full && !r.over {
		r.frames = append(r.frames, frame)
		r.bytes += len(frame)
	}
	r.mu.Unlock()
	if full {
		r.cut(Slow)
		return
	}
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// cut ends the reader, once.
func (r *Reader) cut(why Cut) {
	r.mu.Lock()
	over := r.over
	r.over, r.frames, r.bytes = true, nil, 0
	r.mu.Unlock()
	if !over {
		r.end(why)
	}
}

// Ready is told when there is something to Take.
func (r *Reader) Ready() <-chan struct{} { return r.ready }

// Take returns the events that are there, none after a cut. They are shared
// and must not be changed.
func (r *Reader) Take(context.Context) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	frames := r.frames
	r.frames, r.bytes = nil, 0
	return frames, nil
}

// Beat says that the stream is still there.
func (r *Reader) Beat() []byte { return []byte(":\n\n") }

// Close ends the reading. It is idempotent.
func (r *Reader) Close() { r.hub.remove(r) }
