package route

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/httpbridge/internal/feed"
	"github.com/buildify/core/services/httpbridge/internal/tail"
)

const (
	// paceTime lies between two looks at a trail that grows all the time.
	paceTime = 100 * time.Millisecond
	// tailPage is how many events are read at once: what is kept for a reader.
	tailPage = 100
)

// tokenOver ends the tail of a token that is not good any more, or of a person
// who may not follow the trail any more.
const tokenOver feed.Cut = "token"

// mountTail mounts the streams that people read.
func (rt *Router) mountTail(mux *http.ServeMux) {
	rt.Telemetry.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "buildify_http_tails_open", Help: "Audit trails being followed.",
	}, func() float64 { return float64(rt.Tails.Tails()) }))
	spec := contract.TailAudit.Spec
	mux.Handle(spec.Method+" "+spec.Path, rt.tail(spec))
}

// tail answers with server-sent events, the id of each its sequence.
func (rt *Router) tail(spec *contract.Spec) http.Handler {
	binder := newBinder(spec)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := rt.exchange(spec, r)
		log := rt.Telemetry.Log.With("operation", spec.Name, "request_id", call.id, "remote", call.client.Address)
		ctx, end := context.WithCancelCause(r.Context())
		defer end(nil)
		f, err := rt.follow(ctx, w, r, binder, call, end)
		if err != nil {
			code := rt.writeError(w, r, call.id, spec.Name, err)
			rt.requests.WithLabelValues(spec.Name, string(code)).Inc()
			log.InfoContext(ctx, "stream refused", "code", code)
			return
		}
		defer f.tail.Close()
		rt.requests.WithLabelValues(spec.Name, "ok").Inc()
		streamHeader(w.Header(), call.id)
		if r.Method == http.MethodHead {
			return
		}
		log.InfoContext(ctx, "stream opened", "user", f.user, "tenant", f.tenant)
		start := time.Now()
		defer time.AfterFunc(time.Until(f.expires), func() { end(tokenOver) }).Stop()
		reason := reasonOf(f.run(ctx, newLine(ctx, w)))
		rt.streams.ended.WithLabelValues(spec.Name, reason).Inc()
		log.LogAttrs(ctx, slog.LevelInfo, "stream ended", slog.String("user", f.user),
			slog.String("reason", reason), slog.Int("sent", f.sent), slog.Duration("took", time.Since(start)))
	})
}

// follower is one tail being served.
type follower struct {
	client *kit.Client
	call   *exchange
	bearer string
	filter map[string]json.RawMessage

	poll         time.Duration
	tail         *tail.Tail
	tenant, user string
	expires      time.Time
	through      int64 // what was looked at, or where to begin
	told         int64 // the last id that the reader was given
	sent         int
}

// trailPart is the part of contract.FollowAuditResponse that is looked into.
type trailPart struct {
	TenantID string            `json:"tenant_id"`
	Items    []json.RawMessage `json:"items"`
	Through  int64             `json:"through"`
	More     bool              `json:"more"`
}

// follow admits the caller as operations do: by asking service audit once.
func (rt *Router) follow(ctx context.Context, w http.ResponseWriter, r *http.Request, b *binder, call *exchange, end func(error)) (*follower, error) {
	if err := rt.authenticate(w.Header(), r, call); err != nil {
		return nil, err
	}
	body, err := b.bind(w, r)
	if err != nil {
		return nil, err
	}
	f := &follower{client: rt.Client, call: call, bearer: r.Header.Get("Authorization"), filter: map[string]json.RawMessage{}, poll: rt.Tails.Poll}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &f.filter); err != nil {
			return nil, contract.Invalid("", "the query cannot be read")
		}
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" { // a reader that connects again
		if n, err := strconv.ParseInt(last, 10, 64); err != nil || n < 0 {
			return nil, contract.Invalid("Last-Event-ID", "is not an id of this stream")
		}
		f.filter["after"] = json.RawMessage(last)
	}
	begin, resumes := f.filter["after"]
	part, err := f.ask(ctx, 1)
	if err != nil {
		return nil, err
	}
	if f.through = part.Through; resumes { // what was read is read again
		if err := json.Unmarshal(begin, &f.through); err != nil {
			return nil, contract.Invalid("after", "must be an integer")
		}
	}
	f.told = f.through
	f.tenant = part.TenantID
	f.user, f.expires = claims(f.bearer)
	f.tail, err = rt.Tails.Open(f.tenant, f.user, func() { end(feed.Stopping) })
	return f, err
}

// claims are of a token that service audit has verified by now.
func claims(bearer string) (user string, expires time.Time) {
	var told struct {
		Subject string `json:"sub"`
		Expires int64  `json:"exp"`
	}
	if parts := strings.Split(bearer, "."); len(parts) == 3 {
		if raw, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(raw, &told) // nobody, who ends at once
		}
	}
	return told.Subject, time.Unix(told.Expires, 0)
}

// ask reads the trail as the person.
func (f *follower) ask(ctx context.Context, limit int) (*trailPart, error) {
	f.filter["limit"] = json.RawMessage(strconv.Itoa(limit))
	body, err := json.Marshal(f.filter)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, contract.FollowAudit.Timeout)
	defer cancel()
	out, err := f.client.Do(ctx, contract.FollowAudit.Spec, kit.Outgoing{
		Principal: f.call.principal, Client: f.call.client, Authorization: f.bearer, RequestID: f.call.id, Body: body,
	})
	if err != nil {
		return nil, err
	}
	part := &trailPart{}
	if err := json.Unmarshal(out, part); err != nil {
		return nil, fmt.Errorf("%s: answer: %w", contract.FollowAudit.Name, err)
	}
	return part, nil
}

// run writes what is added to the trail until ctx ends; its error says why.
func (f *follower) run(ctx context.Context, l *line) error {
	err := l.write([]byte(": open\n\n"))
	idle, look := time.NewTimer(idleTime), time.NewTimer(0)
	defer idle.Stop()
	defer look.Stop()
	good, looked := time.Now(), time.Time{}
	for err == nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-f.tail.Grown():
			look.Reset(max(paceTime-time.Since(looked), 0))
		case <-idle.C:
			err = l.write(f.beat())
			idle.Reset(idleTime)
		case <-look.C:
			var more bool
			looked = time.Now()
			more, err = f.pass(ctx, l)
			wait := f.poll
			switch {
			case err != nil:
				wait, err = pause(err, good)
			case more:
				wait = 0
				fallthrough
			default:
				good = looked
			}
			look.Reset(wait)
		}
	}
	return ending(ctx, err)
}

// beat says that the stream is still there, and up to where.
func (f *follower) beat() []byte {
	if f.through > f.told {
		f.told = f.through
		return fmt.Appendf(nil, "id: %d\n\n", f.told)
	}
	return []byte(":\n\n")
}

// pause is how long to wait after a failed pass, or why the tail ends. It may go
// on without an answer for as long as one of a key may.
func pause(err error, good time.Time) (time.Duration, error) {
	var refused *contract.Error
	if !errors.As(err, &refused) {
		return 0, err
	}
	switch refused.Code {
	case contract.Unauthenticated, contract.PermissionDenied, contract.NotFound:
		return 0, tokenOver
	}
	if time.Since(good) > doubt {
		return 0, feed.Lost
	}
	return max(time.Second, time.Duration(refused.RetryAfter)*time.Second), nil
}

// pass reads the next part of the trail and writes it.
func (f *follower) pass(ctx context.Context, l *line) (more bool, err error) {
	f.filter["after"] = strconv.AppendInt(nil, f.through, 10)
	part, err := f.ask(ctx, tailPage)
	if err != nil {
		return false, err
	}
	frames := make([][]byte, 0, len(part.Items))
	for _, item := range part.Items {
		var event struct {
			Sequence int64 `json:"sequence"`
		}
		if err := json.Unmarshal(item, &event); err != nil {
			return false, fmt.Errorf("%s: answer: %w", contract.FollowAudit.Name, err)
		}
		frames = append(frames, fmt.Appendf(nil, "id: %d\ndata: %s\n\n", event.Sequence, item))
		f.told = event.Sequence
	}
	if len(frames) > 0 {
		if err := l.write(frames...); err != nil {
			return false, err
		}
	}
	f.sent += len(frames)
	f.through = max(f.through, part.Through)
	return part.More, nil
}
