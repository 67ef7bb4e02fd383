package natstransport

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

const (
	// pendingMessages is how many unread messages of a stream are kept.
	pendingMessages = 8192
	// openTimeout bounds the opening of a stream.
	openTimeout = 5 * time.Second
)

var errDropped = errors.New("messages came faster than they were read, and were dropped")

// Follow implements sdk.Follower by plain subscriptions to the subjects. Only
// messages that carry contract.HeaderFeed are handed on: without it they are
// answers that another module had sent there.
func (t *Transport) Follow(ctx context.Context, spec *contract.Spec, subjects []string, opened func(), handle func([]byte)) error {
	subjects = distinct(subjects)
	if !spec.Access.Has(contract.Module) || len(subjects) == 0 {
		return fault.Denied(spec)
	}
	stream, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	for _, subject := range subjects {
		defer t.calls.add(subject, abort)()
	}
	// Asked after add, so that a break in between ends the stream.
	if !t.nats.IsConnected() {
		return t.away(spec)
	}
	f := &feed{nats: t.nats, messages: make(chan *nats.Msg, pendingMessages), reconnects: t.nats.Stats().Reconnects}
	defer f.close()
	err := f.open(stream, subjects)
	if err == nil {
		opened()
		err = f.read(stream, handle)
	}
	return t.lost(ctx, stream, spec, err)
}

// feed is one stream being followed: subscriptions that share one queue, so
// that the order among them is kept.
type feed struct {
	nats       *nats.Conn
	subs       []*nats.Subscription
	messages   chan *nats.Msg
	reconnects uint64 // when it was opened
}

func (f *feed) open(ctx context.Context, subjects []string) error {
	for _, subject := range subjects {
		sub, err := f.nats.ChanSubscribe(subject, f.messages)
		if err != nil {
			return err
		}
		f.subs = append(f.subs, sub)
	}
	flush, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := f.nats.FlushWithContext(flush); err != nil {
		if ctx.Err() == nil {
			return nats.ErrTimeout
		}
		return err
	}
	// The server's refusal came before its answer to the flush; whoever is told
	// of it by the error handler may be told later.
	if err := f.nats.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
		for _, subject := range subjects {
			if strings.Contains(err.Error(), `"`+subject+`"`) {
				return errDenied
			}
		}
	}
	return ctx.Err()
}

func (f *feed) read(ctx context.Context, handle func([]byte)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case msg := <-f.messages:
			if err := f.whole(); err != nil {
				return err
			}
			if len(msg.Header[contract.HeaderFeed]) > 0 {
				handle(msg.Data)
			}
		}
	}
}

// whole tells whether nothing was lost before the messages that are here. The
// connection's handlers tell it as well, but perhaps too late: after what came
// behind the gap.
func (f *feed) whole() error {
	if f.nats.Stats().Reconnects != f.reconnects {
		return errDisconnected
	}
	for _, sub := range f.subs {
		if dropped, err := sub.Dropped(); err != nil || dropped > 0 {
			return errDropped
		}
	}
	return nil
}

func (f *feed) close() {
	for _, sub := range f.subs {
		_ = sub.Unsubscribe() // gone with its connection, if it fails
	}
}

// distinct leaves out what another subject covers: the server would deliver
// such messages twice.
func distinct(subjects []string) (kept []string) {
	for i, subject := range subjects {
		covered := false
		for j, other := range subjects {
			prefix, wildcard := strings.CutSuffix(other, "*")
			covered = covered || other == subject && j < i ||
				wildcard && other != subject && strings.HasPrefix(subject, prefix) && !strings.Contains(subject[len(prefix):], ".")
		}
		if !covered {
			kept = append(kept, subject)
		}
	}
	return kept
}
