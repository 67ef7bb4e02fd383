package events

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// Handler handles an event. It is called again for an event of which it returned
// an error, and may be called again for any: see Idempotent.
type Handler = func(context.Context, Event) error

// Try calls handle in the event's trace context, and makes a panic an error.
func Try(ctx context.Context, handle Handler, e Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return handle(WithTraceparent(ctx, Extension(e, Traceparent)), e)
}

// Mux calls the handler of an event's kind. An event of a kind that it has no
// handler of is passed over.
type Mux struct {
	kinds    []Kind
	handlers map[string]Handler
}

// NewMux returns one without handlers.
func NewMux() *Mux { return &Mux{handlers: map[string]Handler{}} }

// On has handle called for events of the kind, with their data read. Data that is
// no T is ErrMalformed, which consumers do not try again. There is one handler a
// kind.
func On[T any](m *Mux, kind Kind, handle func(context.Context, Event, T) error) {
	if m.handlers[kind.Type()] != nil {
		panic("events: two handlers of " + kind.Type())
	}
	m.kinds = append(m.kinds, kind)
	m.handlers[kind.Type()] = func(ctx context.Context, e Event) error {
		data, err := Data[T](e)
		if err != nil {
			return err
		}
		return handle(ctx, e, data)
	}
}

// Handle is a Handler.
func (m *Mux) Handle(ctx context.Context, e Event) error {
	if handle := m.handlers[e.Type()]; handle != nil {
		return handle(ctx, e)
	}
	return nil
}

// Subjects are those of the kinds that have a handler, of a tenant or, with "*",
// of all, for ConsumeConfig.
func (m *Mux) Subjects(tenant string) []string {
	subjects := make([]string, 0, len(m.kinds))
	for _, kind := range m.kinds {
		subjects = append(subjects, kind.Subject(tenant))
	}
	slices.Sort(subjects)
	return subjects
}

// PublishData makes an event of the kind and publishes it under its own id. It
// carries the trace of ctx.
func PublishData[T any](ctx context.Context, js jetstream.JetStream, kind Kind, tenant string, revision int64, data T) (Event, error) {
	e, err := New(kind, tenant, revision, data)
	if err != nil {
		return e, err
	}
	if parent := TraceparentFrom(ctx); parent != "" {
		e.SetExtension(Traceparent, parent)
	}
	return e, Publish(ctx, js, e, e.ID())
}

type traceparentKey struct{}

// WithTraceparent puts a W3C trace context, as the attribute holds it, into ctx.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return context.WithValue(ctx, traceparentKey{}, traceparent)
}

// TraceparentFrom is the trace context of the event that ctx handles, empty for
// none.
func TraceparentFrom(ctx context.Context) string {
	traceparent, _ := ctx.Value(traceparentKey{}).(string)
	return traceparent
}

// Handled remembers which events were handled. An implementation that writes in
// the handler's own transaction makes it exactly once.
type Handled interface {
	// Handled reports whether Remember was called with the key.
	Handled(ctx context.Context, key string) (bool, error)
	// Remember is called after the event was handled.
	Remember(ctx context.Context, key string) error
}

// Idempotent passes over events that were handled before. Two events are the same
// one when source and id are, as CloudEvents has it.
func Idempotent(handled Handled, handle Handler) Handler {
	return func(ctx context.Context, e Event) error {
		key := e.Source() + " " + e.ID()
		if done, err := handled.Handled(ctx, key); done || err != nil {
			return err
		}
		if err := handle(ctx, e); err != nil {
			return err
		}
		return handled.Remember(ctx, key)
	}
}

// Recent is a Handled in memory: it knows the last events, and none after a
// restart. It is safe for concurrent use.
type Recent struct {
	most  int
	mu    sync.Mutex
	order *list.List               // the latest first
	known map[string]*list.Element // the element's value is the key
}

// NewRecent remembers up to most events.
func NewRecent(most int) *Recent {
	return &Recent{most: max(most, 1), order: list.New(), known: map[string]*list.Element{}}
}

// Handled implements Handled.
func (r *Recent) Handled(_ context.Context, key string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.known[key]
	if ok {
		r.order.MoveToFront(at)
	}
	return ok, nil
}

// Remember implements Handled.
func (r *Recent) Remember(_ context.Context, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[key] != nil {
		return nil
	}
	r.known[key] = r.order.PushFront(key)
	if r.order.Len() > r.most {
		if oldest, ok := r.order.Remove(r.order.Back()).(string); ok {
			delete(r.known, oldest)
		}
	}
	return nil
}
