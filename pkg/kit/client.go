package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/buildify/core/pkg/contract"
)

// Client calls operations inside account CORE. It is safe for concurrent use.
type Client struct {
	nats   *nats.Conn
	tracer trace.Tracer
}

// NewClient returns a Client on the connection of a service, the bridge or the
// operator.
func NewClient(nc *nats.Conn, telemetry *Telemetry) *Client {
	return &Client{nats: nc, tracer: telemetry.Tracer}
}

// Outgoing is a call on behalf of somebody.
type Outgoing struct {
	// Principal is the verified caller; the zero value is the service itself.
	Principal Principal
	// Client is where the caller's request came from.
	Client ClientInfo
	// Authorization is passed on as received, for the serving service to verify.
	Authorization string
	RequestID     string
	Body          []byte
}

// Call calls op as the service itself. Errors are *contract.Error: those of
// the operation, unavailable when nobody serves it, deadline_exceeded when ctx
// or the operation's own timeout ends first.
func Call[Req, Resp any](ctx context.Context, c *Client, op contract.Operation[Req, Resp], request *Req) (*Resp, error) {
	return callWith(ctx, c, op, request, Outgoing{})
}

// CallAsCaller is Call as the person whose request ctx belongs to: their access
// token travels along, and the serving service verifies it and what they may.
// Where a service asked for itself it is Call.
func CallAsCaller[Req, Resp any](ctx context.Context, c *Client, op contract.Operation[Req, Resp], request *Req) (*Resp, error) {
	out := Outgoing{Client: ClientFrom(ctx)}
	if bearer := callFrom(ctx).bearer; bearer != "" {
		out.Authorization = "Bearer " + bearer
	}
	return callWith(ctx, c, op, request, out)
}

func callWith[Req, Resp any](ctx context.Context, c *Client, op contract.Operation[Req, Resp], request *Req, out Outgoing) (*Resp, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op.Name, err)
	}
	out.RequestID, out.Body = RequestID(ctx), body
	answer, err := c.Do(ctx, op.Spec, out)
	if err != nil {
		return nil, err
	}
	response := new(Resp)
	if err := json.Unmarshal(answer, response); err != nil {
		return nil, fmt.Errorf("%s: answer: %w", op.Name, err)
	}
	return response, nil
}

// Do sends one request and returns the body of its answer; see Call.
func (c *Client) Do(ctx context.Context, spec *contract.Spec, out Outgoing) ([]byte, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, spec.Timeout)
		defer cancel()
	}
	header := nats.Header{}
	if out.Principal.Kind != "" {
		header[principalHeader] = []string{out.Principal.encode()}
	}
	if out.Client != (ClientInfo{}) {
		header[clientHeader] = []string{out.Client.encode()}
	}
	if out.Authorization != "" {
		header["Authorization"] = []string{headerSafe(out.Authorization)}
	}
	if out.RequestID != "" {
		header[contract.HeaderRequestID] = []string{out.RequestID}
	}
	propagator.Inject(ctx, headerCarrier(header))
	reply, err := c.nats.RequestMsgWithContext(ctx, &nats.Msg{Subject: spec.Subject(), Header: header, Data: out.Body})
	if err != nil {
		return nil, callError(spec, err)
	}
	if reply.Header.Get(contract.HeaderErrorCode) == "" {
		return reply.Data, nil
	}
	e := new(contract.Error)
	if err := json.Unmarshal(reply.Data, e); err != nil {
		return nil, fmt.Errorf("%s: error answer: %w", spec.Name, err)
	}
	return nil, e
}

func callError(spec *contract.Spec, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return contract.Errorf(contract.DeadlineExceeded, "%s did not answer in time", spec.Name)
	case errors.Is(err, nats.ErrMaxPayload):
		return contract.Errorf(contract.PayloadTooLarge, "the request body exceeds %d bytes", contract.MaxBody)
	case unavailable(err):
		return contract.Errorf(contract.Unavailable, "service %s is not available; try again", spec.Service())
	}
	return fmt.Errorf("%s: %w", spec.Name, err)
}
