// Package natstransport carries calls to the core over its bus.
package natstransport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// Config says where the bus is and who calls.
type Config struct {
	// URL of the servers, comma-separated, such as "tls://core.example.com:4222".
	URL string
	// APIKey is the module's key. The server turns it into permissions for
	// exactly the operations it grants.
	APIKey string
	// Log receives changes of the connection and errors of the server; nil is
	// silent.
	Log *slog.Logger
	// Options are applied last, such as nats.RootCAs. Those that say who
	// connects and the handlers are the transport's own.
	Options []nats.Option
}

// Transport is an sdk.Transport over NATS request-reply, safe for concurrent
// use. It reconnects for ever; while it is disconnected calls end at once with
// unavailable, and with unauthenticated when the server refuses the key.
//
//	connected ⇄ reconnecting ── Close ──▶ closed
type Transport struct {
	keyID string
	nats  *nats.Conn
	calls *inflight
	state *state
}

// New connects and returns when the connection is up; see sdk.New for how long
// it tries.
func New(ctx context.Context, cfg Config) (*Transport, error) {
	key, err := contract.ParseAPIKey(cfg.APIKey)
	if err != nil {
		return nil, fmt.Errorf("bus transport: %w", err)
	}
	if err := checkURL(cfg.URL); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t := &Transport{keyID: key.ID, calls: newInflight(), state: &state{log: cfg.Log}}
	t.nats, err = connect(ctx, cfg.URL, append(t.options(key), cfg.Options...))
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Call implements sdk.Transport.
func (t *Transport) Call(ctx context.Context, spec *contract.Spec, request []byte) ([]byte, error) {
	if !spec.Access.Has(contract.Module) {
		return nil, fault.Denied(spec)
	}
	if err := fault.Context(ctx, spec); err != nil {
		return nil, err
	}
	call, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	subject := spec.ModuleSubject(t.keyID)
	defer t.calls.add(subject, abort)()
	// Asked after add, so that a break in between ends the call.
	if !t.nats.IsConnected() {
		return nil, t.away(spec)
	}
	msg := &nats.Msg{Subject: subject, Data: request}
	propagation.TraceContext{}.Inject(ctx, carrier{msg})
	reply, err := t.nats.RequestMsgWithContext(call, msg)
	if err != nil {
		return nil, t.lost(ctx, call, spec, err)
	}
	return read(spec, reply)
}

// Close ends the connection; see sdk.Transport.
func (t *Transport) Close() error {
	t.nats.Close()
	t.calls.abort("", errClosed)
	return nil
}

// Why the transport itself ended a call.
var (
	errClosed       = errors.New("closed")
	errDisconnected = errors.New("the connection broke before the answer came")
	errDenied       = errors.New("denied")
)

// lost tells why there is no answer.
func (t *Transport) lost(ctx, call context.Context, spec *contract.Spec, err error) error {
	switch cause := context.Cause(call); {
	case ctx.Err() != nil:
		return fault.Context(ctx, spec)
	case errors.Is(cause, errDenied), errors.Is(err, errDenied):
		return fault.Denied(spec)
	case errors.Is(cause, errClosed), errors.Is(err, nats.ErrConnectionClosed):
		return fault.Closed(spec)
	case errors.Is(cause, errDisconnected):
		return fault.Unreachable(spec, cause)
	case errors.Is(err, nats.ErrNoResponders):
		return fault.NoResponders(spec)
	case errors.Is(err, nats.ErrMaxPayload):
		return fault.TooLarge()
	case errors.Is(err, nats.ErrTimeout):
		return fault.Timeout(spec)
	}
	return fault.Unreachable(spec, err)
}

// away tells why there is no connection.
func (t *Transport) away(spec *contract.Spec) error {
	switch {
	case t.nats.IsClosed():
		return fault.Closed(spec)
	case t.state.refused.Load() >= refusals:
		return fault.KeyRefused()
	}
	return fault.Unreachable(spec, nats.ErrDisconnected)
}

// read turns a reply into the body of a success or an error.
func read(spec *contract.Spec, reply *nats.Msg) ([]byte, error) {
	code := reply.Header.Get(contract.HeaderErrorCode)
	if code == "" {
		return reply.Data, nil
	}
	e := &contract.Error{}
	if err := json.Unmarshal(reply.Data, e); err != nil || e.Code == "" {
		return nil, fault.Unreadable(spec, "an error answer cannot be read: %.64q %.200q", code, reply.Header.Get(contract.HeaderError))
	}
	return nil, e
}

// carrier puts trace context into a message's headers, which are made only
// when there is some.
type carrier struct{ msg *nats.Msg }

func (c carrier) Get(key string) string { return c.msg.Header.Get(key) }

func (c carrier) Set(key, value string) {
	if c.msg.Header == nil {
		c.msg.Header = nats.Header{}
	}
	c.msg.Header.Set(key, value)
}

func (c carrier) Keys() []string { return nil }
