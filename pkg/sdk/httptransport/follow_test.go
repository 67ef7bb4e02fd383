package httptransport_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/httptransport"
)

var _ sdk.Follower = (*httptransport.Transport)(nil)

// stream answers with server-sent events.
func stream(pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, piece := range pieces {
			_, _ = fmt.Fprint(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
		if len(pieces) > 0 && pieces[len(pieces)-1] == "" {
			<-r.Context().Done()
		}
	}
}

func follow(ctx context.Context, transport *httptransport.Transport, handle func([]byte)) (opened bool, err error) {
	err = transport.Follow(ctx, contract.PolicyFeed.Spec, nil, func() { opened = true }, handle)
	return opened, err
}

func TestAStreamIsReadAsServerSentEvents(t *testing.T) {
	t.Parallel()
	var request *http.Request
	long := strings.Repeat("x", 100_000)
	transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
		request = r
		stream(": open\n\n", "data: {\"a\":1}\n\n", "data: ", "2\r\n\r\n", "data:3\nevent: x\ndata: 4\nid: 5\n\n", "event: none\n\n", ":\n\n",
			"data: "+long+"\n\n", "data: cut sh")(w, r)
	})
	var got []string
	opened, err := follow(t.Context(), transport, func(message []byte) { got = append(got, string(message)) })
	require.ErrorIs(t, err, sdk.ErrUnavailable, "a stream that ends has lost something, perhaps")
	assert.True(t, opened)
	assert.Equal(t, []string{`{"a":1}`, "2", "3\n4", long}, got)
	assert.Equal(t, contract.PolicyFeed.Path, request.URL.Path)
	assert.Equal(t, key, request.Header.Get(contract.HeaderAPIKey))
	assert.Contains(t, request.Header.Get("Accept"), "text/event-stream")
}

func TestWhatIsNoStreamIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    error
	}{
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			contract.WriteProblem(w, contract.Errorf(contract.PermissionDenied, "not granted"))
		}, sdk.ErrPermissionDenied},
		"a page": {answer(200, "text/html", "<html>"), sdk.ErrInternal},
		"JSON":   {answer(200, "application/json", "{}"), sdk.ErrInternal},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, sdk.ErrInternal},
		"a proxy": {answer(502, "text/html", "<html>"), sdk.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened, err := follow(t.Context(), serve(t, c.handler), func([]byte) { t.Error("handed on") })
			require.ErrorIs(t, err, c.want)
			assert.False(t, opened)
		})
	}
}

func TestAMessageWithoutEndIsCutOff(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{strings.Repeat("x", 64<<10), "data: " + strings.Repeat("x", 64<<10) + "\n"} {
		transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, piece); err != nil {
					return
				}
			}
		})
		_, err := follow(t.Context(), transport, func([]byte) { t.Error("handed on") })
		require.ErrorIs(t, err, sdk.ErrUnavailable)
		require.ErrorContains(t, err, "exceeds")
	}
}

func TestAStreamEndsWithItsContextAndWithTheTransport(t *testing.T) {
	t.Parallel()
	transport := serve(t, stream("data: 1\n\n", ""))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := follow(ctx, transport, func([]byte) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	_, err = follow(t.Context(), transport, func([]byte) { _ = transport.Close() })
	require.ErrorIs(t, err, sdk.ErrUnavailable)
	_, err = follow(t.Context(), transport, func([]byte) {})
	require.ErrorIs(t, err, sdk.ErrUnavailable)
}

// A client's timeout bounds calls; a stream has none.
func TestTheTimeoutOfAClientDoesNotEndStreams(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream(": open\n\n")(w, r)
		select {
		case <-time.After(300 * time.Millisecond):
			stream("data: 1\n\n", "")(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	transport, err := httptransport.New(httptransport.Config{URL: server.URL, APIKey: key, Client: &http.Client{Timeout: 100 * time.Millisecond}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = transport.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	_, err = follow(ctx, transport, func([]byte) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
}
