package events

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Follower reads a stream in order from the moment it was started.
type Follower struct {
	consume jetstream.ConsumeContext
	seen    atomic.Uint64
}

// Follow calls handle for every event of stream that matches one of subjects
// and is stored after Follow was called, in stream order, each at least once.
// A gap or a lost connection is mended by reading again from the last event
// seen. handle runs on one goroutine and must not block; malformed messages
// go to onError, as do troubles of the connection.
//
// A stream that does not exist yet is waited for until ctx ends.
//
// To keep a projection: Follow first, then take the snapshot, and let the
// revision of each entity decide which of the two is newer.
func Follow(ctx context.Context, js jetstream.JetStream, stream string, subjects []string,
	handle func(Event), onError func(error),
) (*Follower, error) {
	s, err := awaitStream(ctx, js, stream)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", stream, err)
	}
	consumer, err := patiently(ctx, func() (jetstream.Consumer, error) {
		return js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
			FilterSubjects: subjects,
			DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
			OptStartSeq:    s.CachedInfo().State.LastSeq + 1,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", stream, err)
	}
	f := &Follower{}
	f.seen.Store(s.CachedInfo().State.LastSeq)
	f.consume, err = consumer.Consume(func(msg jetstream.Msg) {
		defer f.saw(msg)
		e, err := Decode(msg.Headers(), msg.Data())
		if err != nil {
			onError(fmt.Errorf("%s: %w", msg.Subject(), err))
			return
		}
		handle(e)
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { onError(err) }))
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", stream, err)
	}
	return f, nil
}

func (f *Follower) saw(msg jetstream.Msg) {
	if meta, err := msg.Metadata(); err == nil {
		f.seen.Store(meta.Sequence.Stream)
	}
}

// Sequence is the stream sequence up to which every event that is followed has
// been handled, or precedes what is followed.
func (f *Follower) Sequence() uint64 { return f.seen.Load() }

// awaitStream waits for the stream's owner to make it.
func awaitStream(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	for {
		s, err := patiently(ctx, func() (jetstream.Stream, error) { return js.Stream(ctx, name) })
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return s, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends the reading and waits for a running handle. It is idempotent.
func (f *Follower) Stop() {
	if f == nil {
		return
	}
	f.consume.Stop()
	<-f.consume.Closed()
}
