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
	"net/url"
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
	return t.Stream(ctx, spec, nil, "", opened, func(_, _ string, data []byte) {
		if data != nil {
			handle(data)
		}
	})
}

// Stream implements sdk.Streamer.
func (t *Transport) Stream(
	ctx context.Context, spec *contract.Spec, query url.Values, last string, opened func(), handle func(event, id string, data []byte),
) error {
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

	address := t.base + spec.Path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(stream, spec.Method, address, nil)
	if err != nil {
		return fault.Unreadable(spec, "the request cannot be built: %v", err)
	}
	req.Header.Set(contract.HeaderAPIKey, t.key)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
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
	err = events(&attended{res.Body, quiet, t.silence}, func(event, id string, data []byte) {
		quiet.Stop() // who handles is not waiting for the core
		handle(event, id, data)
		quiet.Reset(t.silence)
	})
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

// events reads server-sent events until there are no more, and hands on each with
// its last id; data is nil of one that is an id alone
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func events(stream io.Reader, handle func(event, id string, data []byte)) error {
	in := bufio.NewReaderSize(stream, 32<<10)
	var line, data []byte
	event, id, told := "", "", false
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
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(text) == 0:
			if data != nil || told {
				handle(event, id, data)
			}
			data, event, told = nil, "", false
		case string(field) == "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
		case string(field) == "id":
			id, told = string(value), true
		case string(field) == "event":
			event = string(value)
		}
		line = line[:0]
	}
}
