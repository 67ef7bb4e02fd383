package kit

import (
	"context"

	"github.com/buildify/core/pkg/events"
)

// NewEvent makes an event of the request that ctx belongs to: by whom, which
// request it was, and its trace. An empty tenant means the platform.
func NewEvent(ctx context.Context, kind events.Kind, tenant string, revision int64, data any) (events.Event, error) {
	e, err := events.New(kind, tenant, revision, data)
	if err != nil {
		return e, err
	}
	if user := UserFrom(ctx).ID; user != "" {
		e.SetExtension(events.ActorID, user)
	}
	if id := RequestID(ctx); id != "" {
		e.SetExtension(events.RequestID, id)
	}
	carrier := headerCarrier{}
	propagator.Inject(ctx, carrier)
	if parent := carrier.Get(events.Traceparent); parent != "" {
		e.SetExtension(events.Traceparent, parent)
	}
	return e, nil
}
