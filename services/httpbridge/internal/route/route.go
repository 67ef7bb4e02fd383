package route

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/httpbridge/internal/feed"
	"github.com/buildify/core/services/httpbridge/internal/granted"
	"github.com/buildify/core/services/httpbridge/internal/keys"
	"github.com/buildify/core/services/httpbridge/internal/limit"
	"github.com/buildify/core/services/httpbridge/internal/origin"
	"github.com/buildify/core/services/httpbridge/internal/revision"
	"github.com/buildify/core/services/httpbridge/internal/tail"
)

// Router serves the operations of the contract.
type Router struct {
	Client    *kit.Client
	Keys      *keys.Keys
	Feed      *feed.Hub
	Granted   *granted.Hub
	Tails     *tail.Hub
	Telemetry *kit.Telemetry
	// Trusted are the proxies that tell where a request came from.
	Trusted origin.Trusted

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	streams  streamMetrics
	exports  chan struct{} // the places of those being written

	byKey             *limit.Limiter[string]
	people, anonymous *limit.Limiter[netip.Addr]
}

// counted bounds the callers of each kind whose quotas are kept, about 10 MB.
const counted = 100_000

// Mount registers every operation and stream with a route on mux, and the answers to
// wrong methods and unknown paths of the API.
func (rt *Router) Mount(mux *http.ServeMux) {
	rt.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "buildify_http_requests_total", Help: "HTTP requests answered, by operation and error code (ok for none).",
	}, []string{"operation", "code"})
	rt.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "buildify_http_duration_seconds", Help: "Time from the request's header to its answer.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"operation"})
	rt.Telemetry.Metrics.MustRegister(rt.requests, rt.duration)
	rt.byKey = limit.New[string](counted)
	rt.people, rt.anonymous = limit.New[netip.Addr](counted), limit.New[netip.Addr](counted)

	methods := map[string][]string{}
	for _, spec := range contract.Operations() {
		if spec.Path == "" {
			continue
		}
		methods[spec.Path] = append(methods[spec.Path], spec.Method)
		mux.Handle(spec.Method+" "+spec.Path, rt.operation(spec))
	}
	rt.mountStreams(mux)
	rt.mountExports(mux)
	for _, spec := range contract.Streams() {
		methods[spec.Path] = append(methods[spec.Path], spec.Method)
	}
	for path, allowed := range methods {
		// One pattern a method: a pattern of every method would collide with
		// those of other operations whose paths have a parameter in its place.
		for _, method := range otherMethods(allowed) {
			mux.HandleFunc(method+" "+path, rt.wrongMethod(allowed))
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		rt.refuse(w, r, contract.Errorf(contract.NotFound, "no such route; the reference is at /docs/api"))
	})
}

func otherMethods(allowed []string) []string {
	var others []string
	for _, method := range []string{ // HEAD goes where GET does
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	} {
		if !slices.Contains(allowed, method) {
			others = append(others, method)
		}
	}
	return others
}

func (rt *Router) wrongMethod(allowed []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		rt.refuse(w, r, contract.Errorf(contract.MethodNotAllowed, "use %s", strings.Join(allowed, " or ")))
	}
}

// operation answers one route.
func (rt *Router) operation(spec *contract.Spec) http.Handler {
	binder, tag := newBinder(spec), revision.Of(spec)
	ok := rt.requests.WithLabelValues(spec.Name, "ok")
	duration := rt.duration.WithLabelValues(spec.Name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		call := rt.exchange(spec, r)
		out, err := rt.serve(w, r, binder, call)
		code := "ok"
		if err == nil {
			ok.Inc()
			writeAnswer(w, r, call.id, tag, out)
		} else {
			code = string(rt.writeError(w, r, call.id, spec.Name, err))
			rt.requests.WithLabelValues(spec.Name, code).Inc()
		}
		took := time.Since(start)
		duration.Observe(took.Seconds())
		rt.Telemetry.Log.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("operation", spec.Name), slog.String("code", code), slog.String("module", call.principal.Module),
			slog.String("request_id", call.id), slog.Any("remote", call.client.Address), slog.Duration("took", took))
	})
}

// exchange is one request being answered.
type exchange struct {
	spec      *contract.Spec
	id        string
	client    kit.ClientInfo
	principal kit.Principal
	key       *contract.VerifyKeyResponse // of the module, if it is one
}

func (rt *Router) exchange(spec *contract.Spec, r *http.Request) *exchange {
	return &exchange{spec: spec, id: requestID(r), client: kit.ClientInfo{Address: rt.Trusted.Of(r), Agent: r.UserAgent()}}
}

func (rt *Router) serve(w http.ResponseWriter, r *http.Request, b *binder, call *exchange) ([]byte, error) {
	if err := rt.authenticate(w.Header(), r, call); err != nil {
		return nil, err
	}
	ctx, span := rt.span(r.Context(), r, call)
	defer span.End()
	body, err := b.bind(w, r) // as slow as the client is; the server's timeouts bound it
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, call.spec.Timeout)
	defer cancel()
	return rt.Client.Do(ctx, call.spec, kit.Outgoing{
		Principal: call.principal, Client: call.client, Authorization: r.Header.Get("Authorization"), RequestID: call.id, Body: body,
	})
}

// authenticate finds the principal: a module by its key where the operation is
// for modules, nobody otherwise. A person's bearer token is left to the
// service, which verifies it; where both may call, whoever shows a key is the
// module. The request is taken from somebody's quota.
func (rt *Router) authenticate(h http.Header, r *http.Request, call *exchange) error {
	call.principal = kit.Principal{Kind: kit.KindAnonymous}
	network := origin.Network(call.client.Address)
	raw, access := r.Header.Get(contract.HeaderAPIKey), call.spec.Access
	stranger := func() error { return take(h, rt.anonymous, network, "address", limit.Anonymous) }
	switch person := r.Header.Get("Authorization") != "" && !access.Has(contract.Anonymous); {
	case access.Has(contract.Module) && (raw != "" || !forPeople(access)):
	case person:
		return take(h, rt.people, network, "address", limit.People)
	case access.Has(contract.Module):
		return cmp.Or(stranger(), error(&contract.Error{
			Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "an API key or a person's bearer token is required",
		}))
	default:
		return stranger()
	}
	key, err := rt.Keys.Verify(r.Context(), raw, call.client.Address, stranger)
	if err != nil {
		return err
	}
	call.key, call.principal = key, kit.Principal{Kind: kit.KindModule, Module: key.Module, KeyID: key.ID}
	if err := take(h, rt.byKey, key.ID, "key", limit.OfKey(key.RateClass)); err != nil {
		return err
	}
	if !keys.Grants(key, call.spec.Name) {
		return contract.Errorf(contract.PermissionDenied, "this API key does not grant %s", call.spec.Name)
	}
	return nil
}

func forPeople(access contract.Access) bool { return access&(contract.User|contract.Self) != 0 }

// take takes a request from a quota and tells what is left of it.
func take[K comparable](h http.Header, from *limit.Limiter[K], caller K, policy string, class limit.Class) error {
	verdict := from.Take(caller, class)
	verdict.Announce(h, policy, class)
	if verdict.OK {
		return nil
	}
	return &contract.Error{
		Code: contract.RateLimited, RetryAfter: verdict.RetryAfter(),
		Message: "too many requests of this " + policy + "; its quota stands in RateLimit-Policy",
	}
}

// span continues the trace of a caller we know; anyone else could make us
// record whatever they like, so theirs begins here.
func (rt *Router) span(ctx context.Context, r *http.Request, call *exchange) (context.Context, trace.Span) {
	if call.principal.Kind == kit.KindModule {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	return rt.Telemetry.Tracer.Start(ctx, call.spec.Method+" "+call.spec.Path, trace.WithSpanKind(trace.SpanKindServer))
}

func (rt *Router) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code := rt.writeError(w, r, requestID(r), "none", err)
	rt.requests.WithLabelValues("none", string(code)).Inc()
}

// writeError answers with a problem and returns its code.
func (rt *Router) writeError(w http.ResponseWriter, r *http.Request, id, operation string, err error) contract.Code {
	var known *contract.Error
	var wire contract.Error
	switch {
	case errors.As(err, &known):
		wire = *known
	case errors.Is(err, context.Canceled): // the client left: nobody reads this
		wire = *contract.Errorf(contract.DeadlineExceeded, "the request was cancelled")
	default:
		rt.Telemetry.Log.ErrorContext(r.Context(), "request failed", "operation", operation, "request_id", id, "error", err)
		wire = *contract.Errorf(contract.InternalError, "internal error; quote the request id")
	}
	wire.RequestID = id
	w.Header().Set("X-Request-Id", id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	contract.WriteProblem(w, &wire)
	return wire.Code
}

// writeAnswer writes JSON, with its ETag where tag finds one.
func writeAnswer(w http.ResponseWriter, r *http.Request, id string, tag func(body []byte) string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", id)
	if tag != nil && unchanged(h, r, tag(body)) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(body) //nolint:gosec // JSON of a service, under nosniff; the client is gone: nobody is left to tell
}

// unchanged tags the answer, and reports whether a reader has it already.
func unchanged(h http.Header, r *http.Request, tag string) bool {
	if tag == "" {
		return false
	}
	h.Set("ETag", tag)
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && revision.Known(r.Header, tag)
}

// requestID takes the caller's id, for correlation only, or makes one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); kit.ValidRequestID(id) {
		return id
	}
	return uuid.NewString()
}
