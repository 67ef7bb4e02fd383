package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
)

// Handler answers one operation. Its errors reach the caller as they are when
// they are *contract.Error; any other is logged and told as internal,
// unavailable or deadline_exceeded. Handlers run concurrently.
type Handler[Req, Resp any] func(ctx context.Context, request *Req) (*Resp, error)

// FastHandler answers from memory or declines with done == false, upon which
// the Handler is asked. It runs on the subscription's own goroutine, where
// everything behind it waits: it must never block.
type FastHandler[Req, Resp any] func(ctx context.Context, request *Req) (response *Resp, done bool, err error)

// endpoint is one served operation.
type endpoint struct {
	spec          *contract.Spec
	serve         func(ctx context.Context, data []byte) ([]byte, error)
	fast          func(ctx context.Context, data []byte) (out []byte, done bool, err error)
	slots         chan struct{} // one for each request in work
	subscriptions []*nats.Subscription

	metrics  *operationMetrics
	duration prometheus.Observer
	ok       prometheus.Counter

	requests, failures, busy atomic.Int64 // busy in nanoseconds
	lastError                atomic.Pointer[string]
}

// Handle serves op with handler from now on: for services on its subject, and
// for modules, when op is open to them, on theirs. Several processes may serve
// the same operation; each request goes to one of them.
func Handle[Req, Resp any](s *Server, op contract.Operation[Req, Resp], handler Handler[Req, Resp]) error {
	return handle(s, op, handler, nil)
}

// HandleFast is Handle with a FastHandler asked first; handler may be nil when
// that never declines.
func HandleFast[Req, Resp any](s *Server, op contract.Operation[Req, Resp],
	fast FastHandler[Req, Resp], handler Handler[Req, Resp],
) error {
	return handle(s, op, handler, fast)
}

func handle[Req, Resp any](s *Server, op contract.Operation[Req, Resp],
	handler Handler[Req, Resp], fast FastHandler[Req, Resp],
) error {
	decoder := newDecoder(reflect.TypeFor[Req]())
	e := &endpoint{
		spec: op.Spec,
		serve: func(ctx context.Context, data []byte) ([]byte, error) {
			request := new(Req)
			if err := decoder.decode(data, request); err != nil {
				return nil, err
			}
			response, err := handler(ctx, request)
			if err != nil {
				return nil, err
			}
			return encode(response)
		},
	}
	if fast != nil {
		e.fast = func(ctx context.Context, data []byte) ([]byte, bool, error) {
			request := new(Req)
			if err := decoder.decode(data, request); err != nil {
				return nil, true, err
			}
			response, done, err := fast(ctx, request)
			if !done || err != nil {
				return nil, done, err
			}
			out, err := encode(response)
			return out, true, err
		}
	}
	return s.register(e)
}

// encode renders an answer. It is JSON under nosniff, so "<" stays "<": what a
// module recorded comes back as long as it was.
func encode(response any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(response)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

func (s *Server) register(e *endpoint) error {
	if e.spec.Service() != s.cfg.Service {
		return fmt.Errorf("service %s cannot serve %s", s.cfg.Service, e.spec.Name)
	}
	if e.fast != nil && forPeople(e.spec.Access) {
		return fmt.Errorf("%s: a fast handler would answer before the user is verified", e.spec.Name)
	}
	e.slots = make(chan struct{}, s.cfg.Concurrency)
	e.metrics = s.cfg.Telemetry.operations
	e.duration = e.metrics.duration.WithLabelValues(e.spec.Name)
	e.ok = e.metrics.requests.WithLabelValues(e.spec.Name, "ok")

	subjects := []string{e.spec.Subject()}
	if e.spec.Access.Has(contract.Module) {
		subjects = append(subjects, e.spec.ModuleSubject("*"))
	}
	for _, subject := range subjects {
		sub, err := s.cfg.NATS.QueueSubscribe(subject, "core", func(msg *nats.Msg) { s.receive(e, msg) })
		if err != nil {
			return fmt.Errorf("serve %s: %w", subject, err)
		}
		e.subscriptions = append(e.subscriptions, sub)
	}
	if err := s.cfg.NATS.Flush(); err != nil {
		return fmt.Errorf("serve %s: %w", e.spec.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints = append(s.endpoints, e)
	return nil
}

// answer is for requests that were not answered at once: the fast handler may
// not have been asked, for the principal was not complete.
func (e *endpoint) answer(ctx context.Context, data []byte) ([]byte, error) {
	if e.fast != nil {
		if out, done, err := e.fast(ctx, data); done || err != nil {
			return out, err
		}
	}
	return e.serve(ctx, data)
}

func (e *endpoint) observe(r *request, code contract.Code) (took time.Duration) {
	took = time.Since(r.start)
	e.requests.Add(1)
	e.busy.Add(int64(took))
	e.duration.Observe(took.Seconds())
	if code == "ok" {
		e.ok.Inc()
		return took
	}
	e.failures.Add(1)
	text := string(code)
	e.lastError.Store(&text)
	e.metrics.requests.WithLabelValues(e.spec.Name, text).Inc()
	return took
}

// requestID takes the caller's id for correlation, empty if there is none to
// take. It is no identity: it only ever appears in logs and answers.
func requestID(msg *nats.Msg) string {
	if values := msg.Header[contract.HeaderRequestID]; len(values) > 0 && ValidRequestID(values[0]) {
		return values[0]
	}
	return ""
}

// ValidRequestID reports whether a caller's request id may be kept: 8 to 64
// letters, digits, "-" and "_".
func ValidRequestID(id string) bool {
	return len(id) >= 8 && len(id) <= 64 && strings.IndexFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

func bearer(header nats.Header) string {
	values := header["Authorization"]
	if len(values) == 0 {
		return ""
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
