package httptransport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

const (
	eventStream = "text/event-stream"
	// openTimeout bounds the opening of a stream.
	openTimeout = 10 * time.Second
	// silence is how long a stream may bring nothing at all; the core says every
	// 15 seconds that it is there.
	silence = 50 * time.Second
)

var (
	errEnded  = errors.New("the stream ended")
	errSilent = errors.New("the stream fell silent")
)

// Follow implements sdk.Follower by server-sent events; it needs no subjects.
func (t *Transport) Follow(ctx context.Context, spec *contract.Spec, _ []string, opened func(), handle func([]byte)) error {
	if !spec.Access.Has(contract.Module) {
		return fault.Denied(spec)
	}
	if t.closed.Load() {
		return fault.Closed(spec)
	}
	stream, cut := context.WithCancelCause(ctx)
	end := func() { cut(nil) }
	defer end()
	defer context.AfterFunc(t.ctx, end)()
	impatient := time.AfterFunc(openTimeout, end)
	defer impatient.Stop()

	req, err := http.NewRequestWithContext(stream, spec.Method, t.base+spec.Path, nil)
	if err != nil {
		return fault.Unreadable(spec, "the request cannot be built: %v", err)
	}
	req.Header.Set(contract.HeaderAPIKey, t.key)
	req.Header.Set("Accept", eventStream+", "+contract.ProblemType)
	req.Header.Set("Cache-Control", "no-store")
	req.Header.Set("User-Agent", t.agent)
	client := *t.client
	client.Timeout = 0 // a stream has no end, but silence
	res, err := client.Do(req)
	if err != nil {
		return t.lost(ctx, spec, err)
	}
	defer func() { _ = res.Body.Close() }()
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")) // none or garbage is ""
	if res.StatusCode != http.StatusOK || kind != eventStream {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
		if err != nil {
			return t.lost(ctx, spec, err)
		}
		if _, err = read(spec, res, body); err == nil {
			err = fault.Unreadable(spec, "the answer is no stream of events")
		}
		return err
	}
	if !impatient.Stop() {
		return fault.Timeout(spec)
	}
	opened()
	quiet := time.AfterFunc(t.silence, func() { cut(errSilent) })
	defer quiet.Stop()
	err = events(&attended{res.Body, quiet, t.silence}, handle)
	if errors.Is(context.Cause(stream), errSilent) {
		err = errSilent
	}
	return t.lost(ctx, spec, err)
}

// attended puts a timer off whenever something comes.
type attended struct {
	io.Reader
	quiet *time.Timer
	after time.Duration
}

func (a *attended) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	a.quiet.Reset(a.after)
	return n, err
}

// events reads server-sent events until there are no more, and hands on the
// data of each (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func events(stream io.Reader, handle func([]byte)) error {
	in := bufio.NewReaderSize(stream, 32<<10)
	var line, data []byte
	for {
		piece, err := in.ReadSlice('\n')
		if len(line)+len(data)+len(piece) > maxAnswer {
			return fmt.Errorf("a message exceeds %d bytes", maxAnswer)
		}
		line = append(line, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return errEnded
		case err != nil:
			return err
		}
		text := bytes.TrimRight(line, "\r\n")
		field, value, _ := bytes.Cut(text, []byte(":"))
		switch {
		case len(text) > 0 && string(field) == "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
		case len(text) == 0 && data != nil:
			handle(data)
			data = nil
		}
		line = line[:0]
	}
}
