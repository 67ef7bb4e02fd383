package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/httpbridge/internal/feed"
	"github.com/buildify/core/services/httpbridge/internal/keys"
)

const (
	// writeTime bounds each write to a stream: who takes nothing for so long
	// is gone.
	writeTime = 10 * time.Second
	// idleTime is the silence after which a stream says that it is still there.
	idleTime = 15 * time.Second
	// hurryTime is what a stream that ends has left to write.
	hurryTime = 50 * time.Millisecond
	// doubt is how long a stream goes on while nobody can say whether its key
	// is still good. It ends at once when it is told that the key is not.
	doubt = time.Minute
)

// keyOver ends the stream of a key that is not good any more.
const keyOver feed.Cut = "key"

type streamMetrics struct{ ended *prometheus.CounterVec }

func (rt *Router) mountStreams(mux *http.ServeMux) {
	rt.streams.ended = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "buildify_http_streams_ended_total",
		Help: "Streams that ended, by operation and reason: client (left), write (took nothing for too long), slow (left too much unread), key or token (not valid any more), lost (messages or the bus), stopping.",
	}, []string{"operation", "reason"})
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "buildify_http_streams_open", Help: "Streams being read.",
	}, func() float64 { return float64(rt.Feed.Readers() + rt.Granted.Readers()) })
	rt.Telemetry.Metrics.MustRegister(rt.streams.ended, open)
	for _, spec := range contract.Streams() {
		switch spec {
		case contract.TailAudit.Spec:
		case contract.GrantedEvents.Spec:
			mux.Handle(spec.Method+" "+spec.Path, rt.stream(spec, rt.openGranted(spec)))
		default:
			mux.Handle(spec.Method+" "+spec.Path, rt.stream(spec, rt.openFeed))
		}
	}
	rt.mountTail(mux)
}

// source is what a stream is read from. Ready is told when there is something to
// Take, and Beat is what is written when there was nothing for some time.
type source interface {
	Ready() <-chan struct{}
	Take(ctx context.Context) ([][]byte, error)
	Beat() []byte
	Close()
}

// opener opens what a caller reads who was let in. The source calls end, which must
// not block, when it has to end.
type opener func(ctx context.Context, w http.ResponseWriter, r *http.Request, call *exchange, end func(error)) (source, error)

// stream answers the route of a stream with server-sent events.
func (rt *Router) stream(spec *contract.Spec, opens opener) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := rt.exchange(spec, r)
		log := rt.Telemetry.Log.With("operation", spec.Name, "request_id", call.id, "remote", call.client.Address)
		ctx, end := context.WithCancelCause(r.Context())
		defer end(nil)
		reader, err := rt.open(ctx, w, r, call, opens, end)
		if err != nil {
			code := rt.writeError(w, r, call.id, spec.Name, err)
			rt.requests.WithLabelValues(spec.Name, string(code)).Inc()
			log.InfoContext(ctx, "stream refused", "code", code, "module", call.principal.Module)
			return
		}
		rt.requests.WithLabelValues(spec.Name, "ok").Inc()
		streamHeader(w.Header(), call.id)
		if reader == nil { // HEAD
			return
		}
		defer reader.Close()
		log = log.With("module", call.principal.Module, "key_id", call.principal.KeyID)
		log.InfoContext(ctx, "stream opened")
		start := time.Now()
		stop := rt.Keys.Watch(call.key.ID, func() { end(keyOver) })
		defer stop()
		go rt.holdKey(ctx, r.Header.Get(contract.HeaderAPIKey), call, end)
		sent, err := pump(ctx, newLine(ctx, w), reader)
		reason := reasonOf(err)
		rt.streams.ended.WithLabelValues(spec.Name, reason).Inc()
		log.LogAttrs(ctx, slog.LevelInfo, "stream ended", slog.String("reason", reason), slog.Int("sent", sent), slog.Duration("took", time.Since(start)))
	})
}

// open admits the caller as operations do; the source is nil for a HEAD.
func (rt *Router) open(ctx context.Context, w http.ResponseWriter, r *http.Request, call *exchange, opens opener, end func(error)) (source, error) {
	if err := rt.authenticate(w.Header(), r, call); err != nil {
		return nil, err
	}
	return opens(ctx, w, r, call, end)
}

// openFeed opens what a service tells modules.
func (rt *Router) openFeed(ctx context.Context, _ http.ResponseWriter, r *http.Request, call *exchange, end func(error)) (source, error) {
	for name := range r.URL.Query() {
		return nil, contract.Invalid(clip(name), "is not a known query parameter")
	}
	if r.Method == http.MethodHead {
		return nil, nil //nolint:nilnil // told above
	}
	return rt.Feed.Open(ctx, call.spec, call.key, end)
}

func streamHeader(h http.Header, id string) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx passes each event on at once
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", id)
}

// pump writes what the reader hears until ctx ends; its error says why.
func pump(ctx context.Context, l *line, reader source) (sent int, err error) {
	err = l.write([]byte(": open\n\n"))
	idle := time.NewTimer(idleTime)
	defer idle.Stop()
	for err == nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-reader.Ready():
			if ctx.Err() != nil {
				break // of two that are ready select takes either
			}
			var frames [][]byte
			if frames, err = reader.Take(ctx); err != nil {
				err = fmt.Errorf("%w: %w", feed.Lost, err)
			} else if len(frames) > 0 {
				sent += len(frames)
				err = l.write(frames...)
			}
			idle.Reset(idleTime)
		case <-idle.C:
			err = l.write(reader.Beat())
			idle.Reset(idleTime)
		}
	}
	return sent, ending(ctx, err)
}

// ending is why a stream ends that failed with err, if it did: what ends it cuts
// short what is being written. Who takes nothing for too long the server takes for
// gone, which is not why.
func ending(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, context.Canceled) && errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return cause
}

func reasonOf(err error) string {
	var cut feed.Cut
	switch {
	case errors.As(err, &cut):
		return string(cut)
	case errors.Is(err, context.Canceled):
		return "client"
	}
	return "write"
}

// holdKey ends the stream when its key expires, and asks every keys.Lifetime
// whether the key is still good, lest a lost event keep the stream open.
func (rt *Router) holdKey(ctx context.Context, raw string, call *exchange, end func(error)) {
	key, good, wait := call.key, time.Now(), time.Duration(0) // at once: now it is watched
	for {
		if key.ExpiresAt != nil {
			wait = min(wait, time.Until(*key.ExpiresAt))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if key.ExpiresAt != nil && !time.Now().Before(*key.ExpiresAt) {
			end(keyOver)
			return
		}
		fresh, err := rt.Keys.Verify(ctx, raw, call.client.Address, func() error { return nil })
		switch {
		case err == nil:
			key, good, wait = fresh, time.Now(), keys.Lifetime
		case errors.Is(err, &contract.Error{Code: contract.Unauthenticated}), time.Since(good) > doubt:
			end(keyOver)
			return
		default:
			wait = time.Second
		}
	}
}

// line is a response that is written to for as long as it takes.
type line struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	mu      sync.Mutex
	hurried bool
}

// newLine returns a line on which a write is cut short when ctx ends.
func newLine(ctx context.Context, w http.ResponseWriter) *line {
	l := &line{w: w, rc: http.NewResponseController(w)}
	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.hurried = true
		_ = l.rc.SetWriteDeadline(time.Now().Add(hurryTime)) // extend has set one before, or does not after
	})
	return l
}

// extend gives the next write its time, and the server's bound on reading a
// request none: past it the request would be taken for cancelled.
func (l *line) extend() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hurried {
		return nil
	}
	return errors.Join(l.rc.SetReadDeadline(time.Time{}), l.rc.SetWriteDeadline(time.Now().Add(writeTime)))
}

// write writes and flushes.
func (l *line) write(frames ...[]byte) error {
	if err := l.extend(); err != nil {
		return err
	}
	for _, frame := range frames {
		if _, err := l.w.Write(frame); err != nil { //nolint:gosec // JSON of a service, under nosniff
			return err
		}
	}
	return l.rc.Flush()
}
