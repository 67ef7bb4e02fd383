package mail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// shown is what the outbox answers to a caller at an address that asks for
// host.
func shown(o *Outbox, remote, host string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://"+host+"/dev/mail", nil)
	r.RemoteAddr = remote
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	o.ServeHTTP(recorder, r)
	return recorder
}

func TestTheOutboxShowsTheLastMessagesToThisMachine(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	o := NewOutbox(slog.New(slog.NewTextHandler(&logs, nil)))
	require.Contains(t, shown(o, "127.0.0.1:1", "localhost:8080").Body.String(), "nothing yet")
	require.JSONEq(t, `{"items":[]}`, shown(o, "127.0.0.1:1", "localhost:8080", "Accept", "application/json").Body.String())
	for i := range kept + 5 {
		require.NoError(t, o.Send(bounded(t), Message{
			To: fmt.Sprintf("u%d@example.com", i), Subject: "<script>alert(1)</script>",
			Text: "Set it:\n\nhttp://localhost:8080/account/set-password#token=abc\n\n</pre><script>alert(2)</script>\njavascript:alert(3)\n",
		}))
	}
	require.Error(t, o.Send(bounded(t), Message{To: "a@example.com\nBcc: b@example.com"}))
	messages := o.Messages()
	require.Len(t, messages, kept)
	require.Equal(t, "u104@example.com", messages[0].To)

	answer := shown(o, "[::1]:1", "127.0.0.1")
	page := answer.Body.String()
	require.Equal(t, "text/html; charset=utf-8", answer.Header().Get("Content-Type"))
	require.Contains(t, page, `<a href="http://localhost:8080/account/set-password#token=abc">`)
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, `href="javascript`)
	require.NotContains(t, page, "style=")
	require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
	require.Contains(t, answer.Header().Get("Content-Security-Policy"), "default-src 'none'")

	var list struct{ Items []Delivered }
	require.NoError(t, json.Unmarshal(shown(o, "127.0.0.1:1", "[::1]:8080", "Accept", "application/json").Body.Bytes(), &list))
	require.Len(t, list.Items, kept)
	require.Contains(t, list.Items[0].Text, "#token=abc")

	require.Contains(t, logs.String(), "u104@example.com")
	require.NotContains(t, logs.String(), "token", "links are no matter of logs")
}

func TestTheOutboxIsShownToNobodyElse(t *testing.T) {
	t.Parallel()
	o := NewOutbox(slog.New(slog.DiscardHandler))
	require.NoError(t, o.Send(bounded(t), hello))
	for name, answer := range map[string]*httptest.ResponseRecorder{
		"another machine":              shown(o, "192.0.2.1:1", "localhost"),
		"a name that leads here":       shown(o, "127.0.0.1:1", "evil.example.com"),
		"a name that begins like ours": shown(o, "127.0.0.1:1", "localhost.evil.example.com"),
		"another site's page":          shown(o, "127.0.0.1:1", "localhost", "Sec-Fetch-Site", "cross-site"),
		"nowhere":                      shown(o, "", "localhost"),
	} {
		require.Equal(t, http.StatusForbidden, answer.Code, name)
		require.NotContains(t, answer.Body.String(), "token", name)
	}
}
