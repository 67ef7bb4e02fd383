package natstransport_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/natstransport"
)

var key = contract.NewAPIKey("dev", "financial-0123456789ab", strings.Repeat("s", 43)).Reveal()

func newTransport(t *testing.T, s *server) *natstransport.Transport {
	t.Helper()
	transport, err := natstransport.New(t.Context(), natstransport.Config{URL: s.url(), APIKey: key})
	require.NoError(t, err)
	t.Cleanup(func() { _ = transport.Close() })
	return transport
}

func check(ctx context.Context, transport sdk.Transport) (*contract.CheckResponse, error) {
	return sdk.Call(ctx, transport, contract.CheckPermission, &contract.CheckRequest{UserID: "u", Permission: "financial:accounts:read"})
}

func TestRequestsGoOnTheModulesOwnSubject(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	requests := make(chan request, 2)
	s.answer = func(c *conn, r request) {
		requests <- r
		c.reply(r, "", `{"allowed":true,"revision":7}`)
	}
	transport := newTransport(t, s)
	response, err := check(t.Context(), transport)
	require.NoError(t, err)
	assert.Equal(t, &contract.CheckResponse{Allowed: true, Revision: 7}, response)

	r := <-requests
	assert.Equal(t, "m.financial-0123456789ab.core.rbac.check", r.subject)
	assert.True(t, strings.HasPrefix(r.reply, "_INBOX_financial-0123456789ab."), r.reply)
	assert.JSONEq(t, `{"user_id":"u","permission":"financial:accounts:read"}`, r.body)
	assert.Empty(t, r.header)
	assert.Equal(t, []hello{{Token: key, Name: "financial-0123456789ab"}}, s.greeted())

	traced := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	_, err = check(traced, transport)
	require.NoError(t, err)
	assert.Contains(t, (<-requests).header, "traceparent: 00-01000000000000000000000000000000-0200000000000000-01")
}

func TestEveryErrorCodeIsTheSameErrorAsOverHTTP(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	transport := newTransport(t, s)
	for code := range contract.Codes() {
		want := &contract.Error{Code: code, Message: "why", Field: "user_id", RequestID: "r-1"}
		s.mu.Lock()
		s.answer = func(c *conn, r request) {
			body, _ := json.Marshal(want)
			c.reply(r, fmt.Sprintf("%s: %s\r\n%s: why\r\n", contract.HeaderErrorCode, code, contract.HeaderError), string(body))
		}
		s.mu.Unlock()
		_, err := check(t.Context(), transport)
		var got *sdk.Error
		require.ErrorAs(t, err, &got, code)
		assert.Equal(t, want, got)
	}
}

func TestTroubleHasAKind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(*conn, request)
		want   error
	}{
		"no responders": {func(c *conn, r request) { c.reply(r, " 503\r\n", "") }, sdk.ErrUnavailable},
		"violation": {func(c *conn, r request) {
			c.send(`-ERR 'Permissions Violation for Publish to "` + r.subject + `"'`)
		}, sdk.ErrPermissionDenied},
		"broken connection": {func(c *conn, _ request) { _ = c.Close() }, sdk.ErrUnavailable},
		"garbage":           {func(c *conn, r request) { c.reply(r, "", "{") }, sdk.ErrInternal},
		"empty":             {func(c *conn, r request) { c.reply(r, "", "") }, sdk.ErrInternal},
		"garbage error": {func(c *conn, r request) {
			c.reply(r, contract.HeaderErrorCode+": not_found\r\n", "<html>")
		}, sdk.ErrInternal},
		"error without code": {func(c *conn, r request) {
			c.reply(r, contract.HeaderErrorCode+": not_found\r\n", "{}")
		}, sdk.ErrInternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.answer = c.answer
			begun := time.Now()
			_, err := check(t.Context(), newTransport(t, s))
			require.ErrorIs(t, err, c.want)
			assert.Less(t, time.Since(begun), 3*time.Second, "ends before the deadline")
		})
	}
}

func TestViolationEndsOnlyCallsOnItsSubject(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	waiting := make(chan request, 1)
	s.answer = func(c *conn, r request) {
		if strings.HasSuffix(r.subject, "rbac.check") {
			waiting <- r
			return
		}
		c.send(`-ERR 'Permissions Violation for Publish to "` + r.subject + `"'`)
		c.reply(<-waiting, "", `{"allowed":true}`)
	}
	transport := newTransport(t, s)
	checked := make(chan error, 1)
	go func() {
		_, err := check(t.Context(), transport)
		checked <- err
	}()
	require.Eventually(t, func() bool { return len(waiting) == 1 }, 5*time.Second, time.Millisecond)
	_, err := sdk.Call(t.Context(), transport, contract.GetTenant, &contract.GetTenantRequest{TenantID: "t"})
	require.ErrorIs(t, err, sdk.ErrPermissionDenied)
	require.NoError(t, <-checked)
}

func TestContextEndsCalls(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.answer = func(*conn, request) {}
	transport := newTransport(t, s)

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

func TestRevokedKeyIsUnauthenticatedAndComesBackWhenAccepted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	transport := newTransport(t, s)
	_, err := check(t.Context(), transport)
	require.NoError(t, err)

	s.policy(func(string) string { return "Authorization Violation" })
	s.kick()
	require.Eventually(t, func() bool {
		_, err := check(t.Context(), transport)
		var e *sdk.Error
		return assert.ErrorAs(t, err, &e) && e.Code == contract.Unauthenticated && e.Field == contract.HeaderAPIKey
	}, 5*time.Second, 10*time.Millisecond)

	s.policy(func(string) string { return "" })
	require.Eventually(t, func() bool {
		_, err := check(t.Context(), transport)
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
}

func TestNewTellsARefusedKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.accept = func(string) string { return "Authorization Violation" }
	_, err := natstransport.New(t.Context(), natstransport.Config{URL: s.url(), APIKey: key})
	require.ErrorIs(t, err, sdk.ErrUnauthenticated)
	assert.NotContains(t, err.Error(), key)
	assert.Len(t, s.greeted(), 3)
}

func TestNewWaitsForTheServer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	refusals := 2
	s.accept = func(string) string { // the service that knows keys is starting
		if refusals--; refusals >= 0 {
			return "Authorization Violation"
		}
		return ""
	}
	_, err := check(t.Context(), newTransport(t, s))
	require.NoError(t, err)
}

func TestNewGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	cfg := natstransport.Config{URL: listener.Addr().String(), APIKey: key}

	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = natstransport.New(short, cfg)
	require.ErrorIs(t, err, sdk.ErrUnavailable)

	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = natstransport.New(cancelled, cfg)
	require.ErrorIs(t, err, context.Canceled)
}

func TestOperationsThatAreNotForModulesAreNotSent(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.answer = func(*conn, request) { t.Error("sent") }
	transport := newTransport(t, s)
	for _, spec := range contract.Operations() {
		if spec.Access.Has(contract.Module) {
			continue
		}
		_, err := transport.Call(t.Context(), spec, []byte(`{}`))
		require.ErrorIs(t, err, sdk.ErrPermissionDenied, spec.Name)
	}
}

func TestBadConfigurationIsNamedAndNotRepeated(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "nats://", "nats://a:hunter2@b:4222", "nats://ok:4222,nats://hunter2@b", "://hunter2"} {
		_, err := natstransport.New(t.Context(), natstransport.Config{URL: url, APIKey: key})
		require.Error(t, err, url)
		assert.NotContains(t, err.Error(), "hunter2")
	}
	_, err := natstransport.New(t.Context(), natstransport.Config{URL: "nats://b", APIKey: key[1:]})
	require.ErrorIs(t, err, contract.ErrMalformedKey)
}
