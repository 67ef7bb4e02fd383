package kit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/buildify/core/pkg/contract"
)

// UserVerifier verifies a person's access token. Implementations answer
// unauthenticated for whatever is wrong with it and are safe for concurrent
// use.
type UserVerifier interface {
	VerifyUser(ctx context.Context, token string) (User, error)
}

// PermissionChecker decides whether a verified user holds a permission. An
// error denies. Implementations are safe for concurrent use.
type PermissionChecker interface {
	Allowed(ctx context.Context, user User, permission string) (bool, error)
}

// ServerConfig is what a Server needs.
type ServerConfig struct {
	Service   string
	Version   string
	NATS      *nats.Conn
	Telemetry *Telemetry
	// Concurrency bounds the requests of one operation in work at once, beyond
	// which callers are told unavailable; 64 when zero. Fast handlers do not
	// count. An operation that is flooded takes no place from the others.
	Concurrency int
	// Users serves the Self and User operations, with Permissions the latter;
	// while nil those are refused.
	Users       UserVerifier
	Permissions PermissionChecker
	// Keys tells which tenants a module's key is restricted to; nil asks
	// service auth.
	Keys KeySource
}

// Server answers a service's operations on the bus.
//
//	new ── Handle… ──▶ serving ── Stop ──▶ draining ──▶ stopped
type Server struct {
	cfg   ServerConfig
	id    string
	start time.Time
	keys  keyTenants
	calls *calls

	mu        sync.Mutex
	endpoints []*endpoint
	discovery []*nats.Subscription
	drained   chan struct{} // made by Stop, closed when nothing is in work
	work      sync.WaitGroup
}

// NewServer returns a Server that answers service discovery and, after Handle,
// operations.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 64
	}
	if cfg.Keys == nil {
		cfg.Keys = RemoteKeys{Client: NewClient(cfg.NATS, cfg.Telemetry)}
	}
	s := &Server{
		cfg:   cfg,
		id:    uuid.NewString(),
		start: time.Now(),
		keys:  keyTenants{source: cfg.Keys},
	}
	if err := s.answerDiscovery(); err != nil {
		return nil, fmt.Errorf("service %s: discovery: %w", cfg.Service, err)
	}
	var err error
	if s.calls, err = newCalls(cfg.NATS, cfg.Service, cfg.Telemetry); err != nil {
		return nil, fmt.Errorf("service %s: call records: %w", cfg.Service, err)
	}
	return s, nil
}

// maxFastBody bounds, in bytes, the requests that are decoded on the goroutine
// where everybody else waits; larger ones take a place among those in work.
const maxFastBody = 16 << 10

// request is one message on its way through an endpoint.
type request struct {
	msg   *nats.Msg
	start time.Time
	call  *call
}

// receive runs on the subscription's goroutine and must not block.
func (s *Server) receive(e *endpoint, msg *nats.Msg) {
	r := &request{msg: msg, start: time.Now(), call: &call{id: requestID(msg)}}
	if !answerable(msg) {
		e.observe(r, contract.InvalidArgument) // nobody to answer: nothing is done
		return
	}
	principal, err := principalOf(msg.Subject, msg.Header)
	if err != nil {
		s.answer(e, r, nil, contract.Errorf(contract.Unauthenticated, "the caller is not known"))
		return
	}
	principal.Operation = e.spec.Name
	r.call.principal = principal
	r.call.client = clientOf(msg.Subject, msg.Header)
	r.call.bearer = bearer(msg.Header)
	if refused := s.admit(e.spec, r.call); refused != nil {
		s.answer(e, r, nil, refused)
		return
	}
	if e.fast != nil && len(msg.Data) <= maxFastBody && s.complete(r.call) && s.serveFast(e, r) {
		return
	}
	select {
	case e.slots <- struct{}{}:
	default:
		s.answer(e, r, nil, contract.Errorf(contract.Unavailable, "the service is at its limit; try again"))
		return
	}
	s.work.Add(1)
	s.cfg.Telemetry.operations.inflight.Inc()
	go func() {
		defer func() {
			<-e.slots
			s.cfg.Telemetry.operations.inflight.Dec()
			s.work.Done()
		}()
		s.serve(e, r)
	}()
}

// answerable reports whether the reply goes where replies belong: to the
// one-time subject that the server made for a module's request, or to an inbox
// inside CORE. Any other subject would have this service publish, with its own
// rights, what the caller may not.
func answerable(msg *nats.Msg) bool {
	if strings.HasPrefix(msg.Subject, "m.") {
		return strings.HasPrefix(msg.Reply, "_R_.")
	}
	return strings.HasPrefix(msg.Reply, "_INBOX")
}

// complete reports whether all is known of the principal. It never blocks.
func (s *Server) complete(c *call) bool {
	return c.principal.Kind != KindModule || s.keys.cached(&c.principal)
}

// admit says whether this kind of caller may use the operation at all. What a
// person may is settled later, in authorise: that takes a look-up.
func (s *Server) admit(spec *contract.Spec, c *call) *contract.Error {
	access := spec.Access
	switch {
	case access.Has(contract.Anonymous), internal(spec, c),
		c.principal.Kind == KindModule && access.Has(contract.Module),
		forPeople(access) && c.bearer != "":
		return nil
	case forPeople(access):
		return &contract.Error{Code: contract.Unauthenticated, Field: "Authorization", Message: "a bearer token is required"}
	case c.principal.Kind == KindAnonymous && access.Has(contract.Module):
		return &contract.Error{Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "an API key is required"}
	}
	return contract.Errorf(contract.PermissionDenied, "this caller may not use %s", spec.Name)
}

// internal reports whether a service calls for itself and may.
func internal(spec *contract.Spec, c *call) bool {
	return spec.Access.Has(contract.Internal) && c.principal.Kind == KindService &&
		(c.bearer == "" || !forPeople(spec.Access))
}

func forPeople(access contract.Access) bool { return access&(contract.User|contract.Self) != 0 }

// authorise settles what takes a look-up: the tenants of a key, the person of
// a token and what they may do.
func (s *Server) authorise(ctx context.Context, spec *contract.Spec, c *call) error {
	if c.principal.Kind == KindModule {
		if err := s.keys.complete(ctx, &c.principal); err != nil {
			return err
		}
	}
	module := c.principal.Kind == KindModule && spec.Access.Has(contract.Module)
	if !forPeople(spec.Access) || internal(spec, c) || module {
		return nil
	}
	if s.cfg.Users == nil || (s.cfg.Permissions == nil && spec.Permission != "") {
		return contract.Errorf(contract.PermissionDenied, "%s is not open to users", spec.Name)
	}
	user, err := s.cfg.Users.VerifyUser(ctx, c.bearer)
	if err != nil {
		return err
	}
	c.user = user
	if spec.Permission == "" || user.Platform {
		return nil
	}
	if strings.HasSuffix(spec.Permission, ":platform") { // no tenant's role gives it, not by a wildcard either
		return contract.Errorf(contract.PermissionDenied, "only platform administrators may use %s", spec.Name)
	}
	allowed, err := s.cfg.Permissions.Allowed(ctx, user, spec.Permission)
	if err != nil {
		return err
	}
	if !allowed {
		return contract.Errorf(contract.PermissionDenied, "the permission %s is required", spec.Permission)
	}
	return nil
}

func (s *Server) serveFast(e *endpoint, r *request) (served bool) {
	ctx := context.WithValue(context.Background(), callKey{}, r.call)
	defer s.recovered(e, r, &served)
	out, done, err := e.fast(ctx, r.msg.Data)
	if !done && err == nil {
		return false
	}
	_, span := s.span(ctx, e, r)
	defer span.End()
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	s.answer(e, r, out, err)
	return true
}

func (s *Server) serve(e *endpoint, r *request) {
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), callKey{}, r.call), e.spec.Timeout)
	defer cancel()
	ctx, span := s.span(ctx, e, r)
	defer span.End()
	defer s.recovered(e, r, new(bool))
	var out []byte
	err := s.authorise(ctx, e.spec, r.call)
	if err == nil {
		out, err = e.answer(ctx, r.msg.Data)
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	s.answer(e, r, out, err)
}

// recovered, deferred, turns a panic into an internal error with a request id
// under which the stack stands in the log.
func (s *Server) recovered(e *endpoint, r *request, served *bool) {
	if p := recover(); p != nil {
		s.cfg.Telemetry.LogPanic(e.spec.Name, r.call.requestID(), p)
		s.answer(e, r, nil, errPanicked)
		*served = true
	}
}

var errPanicked = contract.Errorf(contract.InternalError, "internal error; quote the request id")

func (s *Server) span(ctx context.Context, e *endpoint, r *request) (context.Context, trace.Span) {
	if r.msg.Header != nil {
		ctx = propagator.Extract(ctx, headerCarrier(r.msg.Header))
	}
	return s.cfg.Telemetry.Tracer.Start(ctx, e.spec.Name,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.start))
}

func (s *Server) answer(e *endpoint, r *request, out []byte, err error) {
	code := contract.Code("ok")
	reply := &nats.Msg{Subject: r.msg.Reply, Data: out}
	if err != nil {
		wire := s.wireError(e, r, err)
		code = wire.Code
		reply = errorReply(r.msg.Reply, wire)
	}
	took := e.observe(r, code)
	s.calls.add(callRecord{at: r.start, took: took, spec: e.spec, code: code, id: r.call.id, call: r.call})
	err = s.cfg.NATS.PublishMsg(reply)
	if errors.Is(err, nats.ErrMaxPayload) {
		tooLarge := contract.Errorf(contract.InternalError, "the answer is too large to be sent; ask for less, with a limit or a filter")
		tooLarge.RequestID = r.call.requestID()
		err = errors.Join(err, s.cfg.NATS.PublishMsg(errorReply(r.msg.Reply, tooLarge)))
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		s.cfg.Telemetry.Log.Warn("reply not sent", "operation", e.spec.Name, "request_id", r.call.requestID(), "error", err)
	}
}

// Stop takes no more requests, finishes those in work, and returns when their
// replies are on the wire or ctx ends. It is idempotent.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	if s.drained == nil {
		s.drained = make(chan struct{})
		subscriptions := slices.Clone(s.discovery)
		for _, e := range s.endpoints {
			subscriptions = append(subscriptions, e.subscriptions...)
		}
		go func() {
			defer close(s.drained)
			for _, sub := range subscriptions {
				s.drain(ctx, sub)
			}
			s.work.Wait()
		}()
	}
	drained := s.drained
	s.mu.Unlock()
	select {
	case <-drained:
		s.calls.Stop()
		return s.flush(ctx)
	case <-ctx.Done():
		return fmt.Errorf("service %s: requests still in work: %w", s.cfg.Service, ctx.Err())
	}
}

// flush puts the last replies on the wire, if there is one.
func (s *Server) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // the flush insists on a deadline
	defer cancel()
	if !s.cfg.NATS.IsConnected() {
		return nil
	}
	return s.cfg.NATS.FlushWithContext(ctx)
}

// drain unsubscribes and waits until the messages already received have been
// handed to the callback. Without a connection nobody can be answered.
func (s *Server) drain(ctx context.Context, sub *nats.Subscription) {
	if !s.cfg.NATS.IsConnected() {
		_ = sub.Unsubscribe() // gone already, if it fails
		return
	}
	closed := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(closed) })
	if sub.Drain() != nil {
		return // gone already
	}
	select {
	case <-closed:
	case <-ctx.Done():
	}
}
