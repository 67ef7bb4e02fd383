package httptransport_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/httptransport"
)

var key = contract.NewAPIKey("dev", "financial-0123456789ab", strings.Repeat("s", 43)).Reveal()

const userID = "0190a8a0-0000-7000-8000-000000000001"

func newTransport(t *testing.T, url string) *httptransport.Transport {
	t.Helper()
	transport, err := httptransport.New(httptransport.Config{URL: url, APIKey: key})
	require.NoError(t, err)
	t.Cleanup(func() { _ = transport.Close() })
	return transport
}

func serve(t *testing.T, handler http.HandlerFunc) *httptransport.Transport {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newTransport(t, server.URL)
}

func answer(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func check(ctx context.Context, transport sdk.Transport) (*contract.CheckResponse, error) {
	return sdk.Call(ctx, transport, contract.CheckPermission, &contract.CheckRequest{
		UserID: userID, Permission: "financial:accounts:read",
	})
}

func TestRequestsGoWhereTheContractSays(t *testing.T) {
	t.Parallel()
	type seen struct{ method, uri, key, kind, body string }
	var got seen
	transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = seen{r.Method, r.RequestURI, r.Header.Get("X-API-Key"), r.Header.Get("Content-Type"), string(body)}
		answer(200, "application/json; charset=utf-8", `{"allowed":true,"permissions":["a:b"],"more":1}`)(w, r)
	})
	ctx := t.Context()

	checked, err := check(ctx, transport)
	require.NoError(t, err)
	assert.True(t, checked.Allowed)
	assert.Equal(t, seen{
		"POST", "/api/v1/core/rbac/check", key, "application/json",
		`{"user_id":"` + userID + `","permission":"financial:accounts:read"}`,
	}, got)

	listed, err := sdk.Call(ctx, transport, contract.ListPermissions, &contract.PermissionsRequest{UserID: userID})
	require.NoError(t, err)
	assert.Equal(t, []string{"a:b"}, listed.Permissions)
	assert.Equal(t, seen{"GET", "/api/v1/core/rbac/users/" + userID + "/permissions", key, "", ""}, got)

	_, err = sdk.Call(ctx, transport, contract.GetTenantModule, &contract.TenantModuleRequest{TenantID: "t 1?x=%2F#", ModuleName: "financial"})
	require.NoError(t, err)
	assert.Equal(t, "/api/v1/core/tenants/t%201%3Fx=%252F%23/modules/financial", got.uri)
}

func TestEveryErrorCodeIsTheSameErrorAsOnTheBus(t *testing.T) {
	t.Parallel()
	for code := range contract.Codes() {
		want := &contract.Error{Code: code, Message: "why", Field: "user_id", RequestID: "r-1"}
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) { contract.WriteProblem(w, want) })
		_, err := check(t.Context(), transport)
		var got *sdk.Error
		require.ErrorAs(t, err, &got, code)
		assert.Equal(t, want, got)
	}
}

func TestAnswersThatAreNotTheCoresAreErrors(t *testing.T) {
	t.Parallel()
	const problem = contract.ProblemType
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    error
	}{
		"html 502":               {answer(502, "text/html", "<h1>Bad Gateway</h1>"), sdk.ErrUnavailable},
		"html 503":               {answer(503, "text/html", "<h1>maintenance</h1>"), sdk.ErrUnavailable},
		"html 504":               {answer(504, "text/html", "<h1>slow</h1>"), sdk.ErrDeadlineExceeded},
		"html 429":               {answer(429, "text/html", ""), sdk.ErrRateLimited},
		"html 413":               {answer(413, "text/html", ""), sdk.ErrPayloadTooLarge},
		"html 404 is no miss":    {answer(404, "text/html", "not found"), sdk.ErrInternal},
		"html 401 is no refusal": {answer(401, "text/html", "log in"), sdk.ErrInternal},
		"json 404 is no miss":    {answer(404, "application/json", `{"error":"x"}`), sdk.ErrInternal},
		"problem of others":      {answer(404, problem, `{"title":"Not Found","status":404}`), sdk.ErrInternal},
		"problem of others 503":  {answer(503, problem, `{"title":"x"}`), sdk.ErrUnavailable},
		"garbage problem":        {answer(403, problem, `{"code":`), sdk.ErrInternal},
		"problem that says 200":  {answer(200, problem, `{"code":"not_found"}`), sdk.ErrInternal},
		"login page":             {answer(200, "text/html", `{"allowed":true}`), sdk.ErrInternal},
		"no content type":        {answer(200, "", `{"allowed":true}`), sdk.ErrInternal},
		"204":                    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, sdk.ErrInternal},
		"garbage":                {answer(200, "application/json", `{"allowed":tr`), sdk.ErrInternal},
		"wrong type":             {answer(200, "application/json", `{"allowed":"yes"}`), sdk.ErrInternal},
		"empty":                  {answer(200, "application/json", ``), sdk.ErrInternal},
		"null":                   {answer(200, "application/json", `null`), sdk.ErrInternal},
		"array":                  {answer(200, "application/json", `[]`), sdk.ErrInternal},
		"something after it":     {answer(200, "application/json", `{"allowed":true}{}`), sdk.ErrInternal},
		"huge":                   {answer(200, "application/json", `{"x":"`+strings.Repeat("x", 5<<20)+`","allowed":true}`), sdk.ErrInternal},
		"cut short": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			answer(200, "application/json", `{"allowed":true`)(w, r)
		}, sdk.ErrUnavailable},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, sdk.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, err := check(t.Context(), serve(t, c.handler))
			require.ErrorIs(t, err, c.want)
			assert.Nil(t, response)
			assert.Less(t, len(err.Error()), 600)
			assert.NotContains(t, err.Error(), key)
		})
	}
}

func TestAnswerWithoutEndIsCutOff(t *testing.T) {
	t.Parallel()
	transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		block := []byte(strings.Repeat(" ", 64<<10))
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	_, err := check(t.Context(), transport)
	require.ErrorIs(t, err, sdk.ErrInternal)
}

func TestRedirectsDoNotTakeTheKeyElsewhere(t *testing.T) {
	t.Parallel()
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Error("the redirect was followed")
		answer(200, "application/json", `{"allowed":true}`)(w, r)
	}))
	defer thief.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		transport := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL, status) })
		_, err := check(t.Context(), transport)
		require.ErrorIs(t, err, sdk.ErrInternal)
		assert.Contains(t, err.Error(), thief.URL)
	}

	follower := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	bridge := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer bridge.Close()
	transport, err := httptransport.New(httptransport.Config{URL: bridge.URL, APIKey: key, Client: follower})
	require.NoError(t, err)
	_, err = check(t.Context(), transport)
	require.ErrorIs(t, err, sdk.ErrInternal)
	assert.NotNil(t, follower.CheckRedirect, "the caller's own client is left as it was")
}

func TestIDsCannotChangeThePath(t *testing.T) {
	t.Parallel()
	var uri string
	transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
		uri = r.RequestURI
		contract.WriteProblem(w, contract.Missing("tenant"))
	})
	for _, id := range []contract.ID{"", ".", "..", "../x", "a/b", "/", `..\x`, "a\x00b", "a\r\nHost: x"} {
		uri = ""
		_, err := sdk.Call(t.Context(), transport, contract.GetTenant, &contract.GetTenantRequest{TenantID: id})
		require.ErrorIs(t, err, sdk.ErrInvalidArgument, "%q", id)
		assert.Empty(t, uri, "%q was sent", id)
	}
	for id, want := range map[contract.ID]string{
		"a b": "a%20b", "a?b#c": "a%3Fb%23c", "%2e%2e": "%252e%252e", "...": "...", "ü": "%C3%BC", "a;b": "a%3Bb",
	} {
		_, err := sdk.Call(t.Context(), transport, contract.GetTenant, &contract.GetTenantRequest{TenantID: id})
		require.ErrorIs(t, err, sdk.ErrNotFound)
		assert.Equal(t, "/api/v1/core/tenants/"+want, uri)
	}
}

func TestOperationsThatAreNotForModulesAreNotSent(t *testing.T) {
	t.Parallel()
	transport := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	for _, spec := range contract.Operations() {
		if spec.Access.Has(contract.Module) {
			continue
		}
		_, err := transport.Call(t.Context(), spec, []byte(`{}`))
		require.ErrorIs(t, err, sdk.ErrPermissionDenied, spec.Name)
	}
}

func TestEveryModuleOperationHasAPlaceForItsFields(t *testing.T) {
	t.Parallel()
	transport := serve(t, answer(200, "application/json", `{}`))
	for _, spec := range contract.Operations() {
		if !spec.Access.Has(contract.Module) {
			continue
		}
		request := map[string]string{}
		for i := range spec.Request.NumField() {
			name, _, _ := strings.Cut(spec.Request.Field(i).Tag.Get("json"), ",")
			request[name] = "x"
		}
		body, err := json.Marshal(request)
		require.NoError(t, err)
		_, err = transport.Call(t.Context(), spec, body)
		require.NoError(t, err, spec.Name)
	}
}

func TestContextEndsCalls(t *testing.T) {
	t.Parallel()
	transport := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the client leave
		<-r.Context().Done()
	})

	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := check(short, transport)
	require.ErrorIs(t, err, sdk.ErrDeadlineExceeded)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = check(cancelled, transport)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, sdk.ErrUnavailable)

	time.AfterFunc(20*time.Millisecond, func() { _ = transport.Close() })
	_, err = check(t.Context(), transport)
	require.ErrorIs(t, err, sdk.ErrUnavailable)
	_, err = check(t.Context(), transport)
	require.ErrorIs(t, err, sdk.ErrUnavailable)
	require.NoError(t, transport.Close())
}

func TestTheCoresOwnTimeoutMatchesTheContextsToo(t *testing.T) {
	t.Parallel()
	transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		contract.WriteProblem(w, contract.Errorf(contract.DeadlineExceeded, "slow"))
	})
	_, err := check(t.Context(), transport)
	require.ErrorIs(t, err, sdk.ErrDeadlineExceeded)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNobodyListeningIsUnavailable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	_, err = check(t.Context(), newTransport(t, "http://"+listener.Addr().String()))
	require.ErrorIs(t, err, sdk.ErrUnavailable)
}

func TestTracesAreContinued(t *testing.T) {
	t.Parallel()
	var got string
	transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("traceparent")
		answer(200, "application/json", `{}`)(w, r)
	})
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	_, err := check(ctx, transport)
	require.NoError(t, err)
	assert.Equal(t, "00-01000000000000000000000000000000-0200000000000000-01", got)
}

func TestBadConfigurationIsNamedAndNotRepeated(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "core.example.com", "ftp://core", "http://", "http://:hunter2@core", "https://a:hunter2@core",
		"https://core?hunter2", "https://core#hunter2", "https://core/api/v1", "https://core/api/v1/", "://hunter2",
	} {
		_, err := httptransport.New(httptransport.Config{URL: url, APIKey: key})
		require.Error(t, err, url)
		assert.NotContains(t, err.Error(), "hunter2")
	}
	_, err := httptransport.New(httptransport.Config{URL: "https://core/base/", APIKey: key})
	require.NoError(t, err)
	_, err = httptransport.New(httptransport.Config{URL: "https://core", APIKey: key[:len(key)-1]})
	require.ErrorIs(t, err, contract.ErrMalformedKey)
}
