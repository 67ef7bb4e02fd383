package granted

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

const (
	// readAtOnce is how many messages of the stream are looked at together.
	readAtOnce = 256
	// forgotten is after how long the bus forgets where a reader was in the stream.
	forgotten = 30 * time.Second
)

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
	if r.after > 0 { // else it wants what is there
		if frames, err = r.gap(asking); err != nil {
			return nil, false, err
		}
	}
	if r.stream == nil {
		there, err := r.seek(asking)
		if err != nil || !there {
			return frames, true, err
		}
	}
	batch, err := r.stream.FetchNoWait(readAtOnce)
	if err != nil {
		return nil, false, err
	}
	n := uint64(0)
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return nil, false, err
		}
		if r.brought++; meta.Sequence.Consumer != r.brought {
			break // one got lost on the way
		}
		n++
		r.after = meta.Sequence.Stream
		if frame := r.frameOf(msg); frame != nil {
			frames = append(frames, frame)
			r.told = r.after
		}
	}
	if n < readAtOnce { // that was all, or the bus fell silent, which looks the same
		r.leave(asking)
	}
	return frames, true, batch.Error()
}

// seek begins to read the stream behind the place, if there is something.
func (r *Reader) seek(ctx context.Context) (there bool, err error) {
	h := r.hub
	h.mu.Lock()
	through := h.through
	h.mu.Unlock()
	if r.stream, err = h.js.CreateConsumer(ctx, events.GrantedStream, jetstream.ConsumerConfig{
		FilterSubjects: events.GrantedSubjects(r.key.Module, r.key.Tenants...),
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.after + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: forgotten,
	}); err != nil {
		r.stream = nil
		return false, err
	}
	r.brought = 0
	if r.stream.CachedInfo().NumPending == 0 {
		r.after = max(r.after, through)
		r.leave(ctx)
		return false, nil
	}
	return true, nil
}

// leave ends the reading of the stream. Thousands of readers that come at once
// would else leave as many consumers behind.
func (r *Reader) leave(ctx context.Context) {
	_ = r.hub.js.DeleteConsumer(ctx, events.GrantedStream, r.stream.CachedInfo().Name) // the bus forgets it anyhow
	r.stream = nil
}

// frameOf is the message, none if it is not for the reader.
func (r *Reader) frameOf(msg jetstream.Msg) []byte {
	_, tenant, name, ok := events.SplitGranted(msg.Subject())
	if !ok || !r.wants(tenant, name) {
		return nil
	}
	frame, err := frameOf(r.after, msg)
	if err != nil {
		return nil // the hub has told
	}
	return frame
}
