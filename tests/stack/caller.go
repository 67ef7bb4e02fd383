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
// query go there, and so does what the operation does not know when there can
// be no body; a body that is no JSON object goes as it is.
func (c HTTPCaller) Call(t testing.TB, spec *contract.Spec, body string) (json.RawMessage, *contract.Error) {
	t.Helper()
	request := c.request(t, spec, body)
	if c.APIKey != "" {
		request.Header.Set(contract.HeaderAPIKey, c.APIKey)
	}
	if c.Bearer != "" {
		request.Header.Set("Authorization", "Bearer "+c.Bearer)
	}
	return Answer(t, request)
}

func (c HTTPCaller) request(t testing.TB, spec *contract.Spec, body string) *http.Request {
	t.Helper()
	path, query, places := spec.Path, url.Values{}, places(spec)
	hasBody := spec.Method != http.MethodGet && spec.Method != http.MethodDelete
	var members map[string]json.RawMessage
	moved := json.Unmarshal([]byte(body), &members) == nil
	for name, value := range members {
		place := places[name]
		switch {
		case place.path != "":
			path = strings.ReplaceAll(path, "{"+place.path+"}", url.PathEscape(text(value)))
		case place.query != "" || !hasBody:
			query.Set(cmp.Or(place.query, name), text(value))
		default:
			continue
		}
		delete(members, name)
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var content io.Reader
	if hasBody {
		if moved && (len(query) > 0 || path != spec.Path) {
			rest, err := json.Marshal(members)
			require.NoError(t, err)
			body = string(rest)
		}
		content = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(Context(t), spec.Method, c.URL+path, content)
	require.NoError(t, err)
	if hasBody {
		request.Header.Set("Content-Type", "application/json")
	}
	return request
}

// place is where HTTP puts a member of the request; both empty is the body.
type place struct{ path, query string }

func places(spec *contract.Spec) map[string]place {
	all := map[string]place{}
	for i := range spec.Request.NumField() {
		f := spec.Request.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all[name] = place{f.Tag.Get("path"), f.Tag.Get("query")}
	}
	return all
}

// text is a JSON value as it stands in a path or query.
func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
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
