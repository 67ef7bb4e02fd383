package stack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// Caller sends one operation's request, the body as it is, over one
// transport, and gives back the answer or the error it was told.
type Caller interface {
	Call(t testing.TB, spec *contract.Spec, body string) (json.RawMessage, *contract.Error)
}

// HTTPCaller calls over HTTP with the credentials given.
type HTTPCaller struct{ URL, APIKey, Bearer string }

// Call implements Caller. Members of the body that the route wants in path or
// query go there.
func (c HTTPCaller) Call(t testing.TB, spec *contract.Spec, body string) (json.RawMessage, *contract.Error) {
	t.Helper()
	path, query := spec.Path, url.Values{}
	var members map[string]any
	if json.Unmarshal([]byte(body), &members) == nil {
		for name, value := range members {
			text, _ := value.(string)
			if number, ok := value.(float64); ok {
				raw, err := json.Marshal(number)
				require.NoError(t, err)
				text = string(raw)
			}
			if placeholder := "{" + name + "}"; strings.Contains(path, placeholder) {
				path = strings.ReplaceAll(path, placeholder, url.PathEscape(text))
			} else {
				query.Set(name, text)
			}
		}
	}
	var content io.Reader
	if spec.Method != http.MethodGet {
		content = strings.NewReader(body)
	} else if len(query) > 0 {
		path += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(Context(t), spec.Method, c.URL+path, content)
	require.NoError(t, err)
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.APIKey != "" {
		request.Header.Set(contract.HeaderAPIKey, c.APIKey)
	}
	if c.Bearer != "" {
		request.Header.Set("Authorization", "Bearer "+c.Bearer)
	}
	return Answer(t, request)
}

// Answer sends the request and reads an operation's answer; an error must be
// a problem whose status is that of its code.
func Answer(t testing.TB, request *http.Request) (json.RawMessage, *contract.Error) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	if response.StatusCode == http.StatusOK {
		return bytes.TrimSpace(body), nil
	}
	require.Equal(t, contract.ProblemType, response.Header.Get("Content-Type"), "%d: %s", response.StatusCode, body)
	var problem contract.Problem
	require.NoError(t, json.Unmarshal(body, &problem), string(body))
	require.Equal(t, response.StatusCode, problem.Status)
	require.Equal(t, problem.Code.Status(), problem.Status)
	require.NotEmpty(t, problem.RequestID)
	return nil, problem.Err()
}

// BusCaller calls over a connection: as a module when KeyID is set, and on
// the plain subjects otherwise.
type BusCaller struct {
	Conn   *nats.Conn
	KeyID  string
	Bearer string
}

// Call implements Caller.
func (c BusCaller) Call(t testing.TB, spec *contract.Spec, body string) (json.RawMessage, *contract.Error) {
	t.Helper()
	msg := nats.NewMsg(spec.Subject())
	if c.KeyID != "" {
		msg.Subject = spec.ModuleSubject(c.KeyID)
	}
	if c.Bearer != "" {
		msg.Header.Set("Authorization", "Bearer "+c.Bearer)
	}
	msg.Data = []byte(body)
	reply, err := c.Conn.RequestMsgWithContext(Context(t), msg)
	require.NoError(t, err, msg.Subject)
	if code := reply.Header.Get(contract.HeaderErrorCode); code != "" {
		e := &contract.Error{}
		require.NoError(t, json.Unmarshal(reply.Data, e), string(reply.Data))
		require.Equal(t, code, string(e.Code))
		require.NotEmpty(t, e.RequestID)
		return nil, e
	}
	return reply.Data, nil
}

// ModuleBus connects as a module with its key.
func (s *Stack) ModuleBus(t testing.TB, key string, options ...nats.Option) (*nats.Conn, error) {
	t.Helper()
	parsed, _ := contract.ParseAPIKey(key) // a malformed one is refused by the server
	nc, err := nats.Connect(s.NATSURL, append([]nats.Option{
		nats.Token(key), nats.CustomInboxPrefix(natsconn.InboxPrefix(cmp.Or(parsed.ID, "none"))), nats.MaxReconnects(0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, options...)...)
	if err == nil {
		t.Cleanup(nc.Close)
	}
	return nc, err
}

// Callers returns a caller of the company's module for each transport.
func (s *Stack) Callers(t testing.TB, c *Company) map[string]Caller {
	t.Helper()
	nc, err := s.ModuleBus(t, c.APIKey)
	require.NoError(t, err)
	return map[string]Caller{
		"nats": BusCaller{Conn: nc, KeyID: c.KeyID},
		"http": HTTPCaller{URL: s.HTTPURL, APIKey: c.APIKey},
	}
}
