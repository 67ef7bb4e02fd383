package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

const (
	// exportsAtOnce bounds the exports that are written at the same time; each
	// holds a part or two of about a megabyte.
	exportsAtOnce = 16
	// exportPiece is what is written within writeTime at least: whoever takes less
	// is gone.
	exportPiece = 32 << 10
	// exportTries is how often a part is asked for while it cannot be had.
	exportTries = 5
)

// exportTypes are the media types of the formats.
var exportTypes = map[string]string{
	"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8; header=present", "ocsf": "application/x-ndjson",
}

// mountExports mounts an export a format: all parts of contract.ExportAudit, one
// behind the other.
func (rt *Router) mountExports(mux *http.ServeMux) {
	rt.exports = make(chan struct{}, exportsAtOnce)
	binder := newBinder(contract.ExportAudit.Spec)
	for format, mediaType := range exportTypes {
		path := contract.ExportAudit.Path + "." + format
		mux.Handle("GET "+path, rt.export(binder, format, mediaType))
		for _, method := range otherMethods([]string{http.MethodGet}) {
			mux.HandleFunc(method+" "+path, rt.wrongMethod([]string{http.MethodGet}))
		}
	}
}

// export answers with the whole of an export. One that cannot be finished breaks
// the connection, lest it be taken for all there is.
func (rt *Router) export(b *binder, format, mediaType string) http.Handler {
	spec := contract.ExportAudit.Spec
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := rt.exchange(spec, r)
		log := rt.Telemetry.Log.With("operation", spec.Name, "request_id", call.id, "remote", call.client.Address)
		ctx := r.Context()
		e := &exported{client: rt.Client, call: call, bearer: r.Header.Get("Authorization")}
		err := rt.beginExport(w, r, b, e, format)
		if err != nil {
			code := rt.writeError(w, r, call.id, spec.Name, err)
			rt.requests.WithLabelValues(spec.Name, string(code)).Inc()
			log.InfoContext(ctx, "export refused", "code", code)
			return
		}
		rt.requests.WithLabelValues(spec.Name, "ok").Inc()
		defer func() { <-rt.exports }()
		h := w.Header()
		h.Set("Content-Type", mediaType)
		h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="audit-%s.%s"`, time.Now().UTC().Format("20060102T150405Z"), format))
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // nginx takes no more than it can pass on
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Request-Id", call.id)
		if r.Method == http.MethodHead {
			return
		}
		start := time.Now()
		err = e.run(ctx, newLine(ctx, w))
		log.LogAttrs(ctx, slog.LevelInfo, "export ended", slog.Bool("complete", err == nil), slog.Any("error", err),
			slog.Int("events", e.events), slog.Int64("bytes", e.bytes), slog.Duration("took", time.Since(start)))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	})
}

// exported is an export being written.
type exported struct {
	client *kit.Client
	call   *exchange
	bearer string
	filter map[string]json.RawMessage
	part   *contract.ExportAuditResponse // the next to write

	events int
	bytes  int64
}

// beginExport admits the caller as operations do, by asking for the first part,
// and takes a place among the exports, which is given back by whoever called.
func (rt *Router) beginExport(w http.ResponseWriter, r *http.Request, b *binder, e *exported, format string) error {
	if err := rt.authenticate(w.Header(), r, e.call); err != nil {
		return err
	}
	query := r.URL.Query()
	for _, name := range []string{"format", "cursor"} {
		if query.Has(name) {
			return contract.Invalid(name, "is not a known query parameter")
		}
	}
	body, err := b.bind(w, r)
	if err != nil {
		return err
	}
	e.filter = map[string]json.RawMessage{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &e.filter); err != nil {
			return contract.Invalid("", "the query cannot be read")
		}
	}
	e.filter["format"] = quote(format)
	select {
	case rt.exports <- struct{}{}:
	default:
		return &contract.Error{Code: contract.Unavailable, Message: "too many exports at once; try again later", RetryAfter: 10}
	}
	if e.part, err = e.ask(r.Context()); err != nil {
		<-rt.exports
	}
	return err
}

// ask asks for the next part as the person.
func (e *exported) ask(ctx context.Context) (*contract.ExportAuditResponse, error) {
	body, err := json.Marshal(e.filter)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, contract.ExportAudit.Timeout)
	defer cancel()
	out, err := e.client.Do(ctx, contract.ExportAudit.Spec, kit.Outgoing{
		Principal: e.call.principal, Client: e.call.client, Authorization: e.bearer, RequestID: e.call.id, Body: body,
	})
	if err != nil {
		return nil, err
	}
	part := &contract.ExportAuditResponse{}
	if err := json.Unmarshal(out, part); err != nil {
		return nil, fmt.Errorf("%s: answer: %w", contract.ExportAudit.Name, err)
	}
	return part, nil
}

// run writes part by part; the next one is asked for when the one before is
// taken, so a slow reader holds no more than a part.
func (e *exported) run(ctx context.Context, l *line) error {
	for {
		for rest := e.part.Chunk; len(rest) > 0; {
			n := min(len(rest), exportPiece)
			if err := l.write(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		e.events += e.part.Events
		e.bytes += int64(len(e.part.Chunk))
		if e.part.NextCursor == "" {
			return ctx.Err()
		}
		e.filter["cursor"] = quote(e.part.NextCursor)
		e.part = nil
		if err := e.next(ctx); err != nil {
			return err
		}
	}
}

// next asks again while the service is away for a moment, or a quota is spent.
func (e *exported) next(ctx context.Context) (err error) {
	for try := range exportTries {
		if e.part, err = e.ask(ctx); err == nil {
			return nil
		}
		var refused *contract.Error
		if !errors.As(err, &refused) {
			return err
		}
		wait := time.Second << try
		switch refused.Code {
		case contract.Unavailable, contract.DeadlineExceeded:
		case contract.RateLimited: // each part counts against the tenant's quota
			wait = max(wait, time.Duration(refused.RetryAfter)*time.Second)
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	return err
}
