package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
)

func decodeError(t testing.TB, data []byte) *contract.Error {
	t.Helper()
	e := new(contract.Error)
	require.NoError(t, json.Unmarshal(data, e), "%s", data)
	return e
}

// gate is a handler that tells that it began and waits to be let go.
type gate struct {
	began   chan struct{}
	release chan struct{}
}

func newGate() *gate {
	return &gate{began: make(chan struct{}, 100), release: make(chan struct{})}
}

func (g *gate) handle(_ context.Context, r *ask) (*told, error) {
	g.began <- struct{}{}
	<-g.release
	return &told{r.Text}, nil
}

func (g *gate) await(t testing.TB) {
	t.Helper()
	select {
	case <-g.began:
	case <-time.After(limit):
		t.Fatal("the handler was not asked")
	}
}

// asking calls in the background.
func asking(t testing.TB, c *Client, op askOperation, text string) <-chan error {
	ctx := bounded(t)
	done := make(chan error, 1)
	go func() {
		answer, err := Call(ctx, c, op, &ask{text})
		if err == nil && answer.Text != text {
			err = fmt.Errorf("answer %q to %q", answer.Text, text)
		}
		done <- err
	}()
	return done
}

func TestASlowHandlerHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s, g := serve(t), newGate()
	slow, same, fast := operation("tenant.slow", contract.Internal), operation("tenant.quick", contract.Internal), operation("tenant.fast", contract.Internal)
	require.NoError(t, Handle(s.Server, slow, func(ctx context.Context, r *ask) (*told, error) {
		if r.Text == "quick" {
			return echo(ctx, r)
		}
		return g.handle(ctx, r)
	}))
	require.NoError(t, Handle(s.Server, same, echo))
	require.NoError(t, HandleFast(s.Server, fast, fastEcho, nil))
	first := asking(t, s.client, slow, "slow")
	g.await(t)
	for _, op := range []askOperation{slow, same, fast} {
		require.NoError(t, <-asking(t, s.client, op, "quick"), op.Name)
	}
	select {
	case err := <-first:
		t.Fatal("answered before it was let go:", err)
	default:
	}
	close(g.release)
	require.NoError(t, <-first)
}

func TestAFastHandlerThatDeclinesIsFollowedByTheHandler(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.maybe", contract.Internal)
	require.NoError(t, HandleFast(s.Server, op, func(_ context.Context, r *ask) (*told, bool, error) {
		switch r.Text {
		case "known":
			return &told{"fast"}, true, nil
		case "refused":
			return nil, true, contract.Missing("thing")
		}
		return nil, false, nil
	}, func(context.Context, *ask) (*told, error) { return &told{"slow"}, nil }))
	for text, want := range map[string]string{"known": "fast", "unknown": "slow"} {
		answer, err := Call(bounded(t), s.client, op, &ask{text})
		require.NoError(t, err)
		require.Equal(t, want, answer.Text)
	}
	_, err := Call(bounded(t), s.client, op, &ask{"refused"})
	require.Equal(t, contract.NotFound, code(t, err))
}

func TestBeyondItsLimitTheServerSheds(t *testing.T) {
	t.Parallel()
	s, g := serve(t, func(cfg *ServerConfig) { cfg.Concurrency = 2 }), newGate()
	op, fast := operation("tenant.slow", contract.Internal), operation("tenant.fast", contract.Internal)
	require.NoError(t, Handle(s.Server, op, g.handle))
	require.NoError(t, HandleFast(s.Server, fast, fastEcho, nil))
	working := []<-chan error{asking(t, s.client, op, "1"), asking(t, s.client, op, "2")}
	g.await(t)
	g.await(t)
	for range 3 {
		require.Equal(t, contract.Unavailable, code(t, <-asking(t, s.client, op, "3")))
		require.NoError(t, <-asking(t, s.client, fast, "3"), "fast handlers need no place")
	}
	close(g.release)
	for _, done := range working {
		require.NoError(t, <-done)
	}
	// A place is given back just after the answer has left.
	require.Eventually(t, func() bool { return <-asking(t, s.client, op, "4") == nil }, limit, time.Millisecond)
}

func TestAnOperationIsBoundedInTime(t *testing.T) {
	t.Parallel()
	s, g := serve(t), newGate()
	defer close(g.release)
	polite := operation("tenant.polite", contract.Internal)
	polite.Timeout = 20 * time.Millisecond
	require.NoError(t, Handle(s.Server, polite, func(ctx context.Context, _ *ask) (*told, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("query: %w", ctx.Err())
	}))
	// The caller would wait longer: it is the service that ends it.
	_, err := Call(bounded(t), s.client, polite, &ask{})
	require.Equal(t, contract.DeadlineExceeded, code(t, err))
	require.ErrorContains(t, err, "took too long")

	stubborn := operation("tenant.stubborn", contract.Internal)
	require.NoError(t, Handle(s.Server, stubborn, g.handle))
	stubborn.Timeout = 20 * time.Millisecond // known to the client
	_, err = Call(context.Background(), s.client, stubborn, &ask{})
	require.Equal(t, contract.DeadlineExceeded, code(t, err))
	require.ErrorContains(t, err, "did not answer in time")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Call(ctx, s.client, stubborn, &ask{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestAPanicIsAnInternalErrorAndTheServerGoesOn(t *testing.T) {
	t.Parallel()
	s := serve(t)
	normal, fast := operation("tenant.normal", contract.Internal), operation("tenant.fast", contract.Internal)
	require.NoError(t, Handle(s.Server, normal, func(ctx context.Context, r *ask) (*told, error) {
		if r.Text == "panic" {
			panic("hunter2")
		}
		return echo(ctx, r)
	}))
	require.NoError(t, HandleFast(s.Server, fast, func(ctx context.Context, r *ask) (*told, bool, error) {
		if r.Text == "panic" {
			panic(errors.New("hunter2"))
		}
		return fastEcho(ctx, r)
	}, nil))
	for _, op := range []askOperation{normal, fast} {
		for range 3 {
			reply, e := raw(t, s.client.nats, op.Subject(), nil, `{"text":"panic"}`)
			require.Equal(t, contract.InternalError, e.Code)
			require.NotEmpty(t, e.RequestID)
			require.NotContains(t, string(reply.Data)+fmt.Sprint(reply.Header), "hunter2")
			require.Contains(t, s.logs.String(), e.RequestID, "the stack stands under the request id")
			require.NoError(t, <-asking(t, s.client, op, "fine"))
		}
	}
	require.Contains(t, s.logs.String(), "hunter2")
	require.Contains(t, s.logs.String(), "server_test.go", "a stack")
}

func TestAnUnknownErrorLeaksNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.broken", contract.Internal)
	require.NoError(t, Handle(s.Server, op, func(context.Context, *ask) (*told, error) {
		return nil, errors.New("open /etc/hunter2: password=hunter2")
	}))
	reply, e := raw(t, s.client.nats, op.Subject(), nats.Header{contract.HeaderRequestID: {"my-request-1"}}, ``)
	require.Equal(t, contract.InternalError, e.Code)
	require.Equal(t, "my-request-1", e.RequestID)
	require.NotContains(t, string(reply.Data)+fmt.Sprint(reply.Header), "hunter2")
	require.Contains(t, s.logs.String(), "hunter2")
	require.Contains(t, s.logs.String(), "my-request-1")
}

func TestErrorsAreToldByWhatTheyAre(t *testing.T) {
	t.Parallel()
	secret := errors.New("secret")
	for _, c := range []struct {
		err  error
		code contract.Code
	}{
		{contract.Missing("user"), contract.NotFound},
		{fmt.Errorf("secret: %w", contract.Missing("user")), contract.NotFound},
		{fmt.Errorf("%w (%w)", contract.Errorf(contract.Unavailable, "try again"), secret), contract.Unavailable},
		{secret, contract.InternalError},
		{fmt.Errorf("secret: %w", context.DeadlineExceeded), contract.DeadlineExceeded},
		{nats.ErrTimeout, contract.DeadlineExceeded},
		{nats.ErrNoResponders, contract.Unavailable},
		{nats.ErrConnectionClosed, contract.Unavailable},
		{nats.ErrDisconnected, contract.Unavailable},
		{nats.ErrReconnectBufExceeded, contract.Unavailable},
		{&net.OpError{Op: "dial", Err: secret}, contract.Unavailable},
		{&pgconn.PgError{Code: "08006", Message: "secret"}, contract.Unavailable},
		{&pgconn.PgError{Code: "53300", Message: "secret"}, contract.Unavailable},
		{&pgconn.PgError{Code: "57P01", Message: "secret"}, contract.Unavailable},
		{&pgconn.PgError{Code: "23505", Message: "secret"}, contract.InternalError},
		{&pgconn.PgError{Code: "42501", Message: "secret"}, contract.InternalError},
		{fmt.Errorf("secret: %w", io.ErrUnexpectedEOF), contract.Unavailable},
		{context.Canceled, contract.InternalError},
	} {
		wire := toWire(c.err)
		require.Equal(t, c.code, wire.Code, "%v", c.err)
		require.NotContains(t, wire.Error(), "secret")
	}
}

func TestAnErrorsMessageCannotEndItsHeader(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.multiline", contract.Internal)
	require.NoError(t, Handle(s.Server, op, func(_ context.Context, r *ask) (*told, error) {
		return nil, contract.Invalid("text", "holds %s", r.Text)
	}))
	reply, e := raw(t, s.client.nats, op.Subject(), nil, `{"text":"a\r\nNats-Injected: 1\r\n\r\nb\u007f"}`)
	require.Equal(t, contract.InvalidArgument, e.Code)
	require.Contains(t, e.Message, "\r\nNats-Injected", "the body keeps it")
	require.Empty(t, reply.Header.Get("Nats-Injected"))
	require.Len(t, reply.Header, 2)
}

// Whoever may choose the reply subject would otherwise have a service publish
// with the service's rights.
func TestNothingIsPublishedOutsideOfInboxes(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	tel := telemetry(t, nil)
	s, err := NewServer(ServerConfig{Service: "audit", NATS: b.user(natsconn.Audit), Telemetry: tel})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop(bounded(t))) }()
	var asked atomic.Int32
	normal, fast := operation("audit.normal", contract.Internal), operation("audit.fast", contract.Internal)
	require.NoError(t, Handle(s, normal, func(ctx context.Context, r *ask) (*told, error) { asked.Add(1); return echo(ctx, r) }))
	require.NoError(t, HandleFast(s, fast, func(ctx context.Context, r *ask) (*told, bool, error) {
		asked.Add(1)
		return fastEcho(ctx, r)
	}, nil))
	spy, heard := b.user(natsconn.Audit), make(chan *nats.Msg, 100)
	for _, subject := range []string{"core.audit.events.>", "core.events.>"} {
		_, err := spy.ChanSubscribe(subject, heard)
		require.NoError(t, err)
	}
	require.NoError(t, spy.Flush())
	hostile, n := b.user(natsconn.Operator), 0
	for _, op := range []askOperation{normal, fast} {
		for _, reply := range []string{"", "core.audit.events.x", "core.events.t.audit.a.b", "core.audit.fast", "_R_.x", "m.crm.core.audit.fast", "$JS.ACK.x"} {
			for _, body := range []string{`{"text":"x"}`, `{`} {
				require.NoError(t, hostile.PublishMsg(&nats.Msg{Subject: op.Subject(), Reply: reply, Data: []byte(body)}))
				if !strings.HasPrefix(reply, "_R_.") && !strings.HasPrefix(reply, "$JS.ACK.") { // the bus refuses those itself
					n++
				}
			}
		}
		// The subscription is served in order: what came before is done with.
		require.NoError(t, <-asking(t, NewClient(hostile, tel), op, "x"))
	}
	require.NoError(t, spy.Flush())
	require.Empty(t, heard)
	require.EqualValues(t, 2, asked.Load(), "nobody to answer: nothing is done")
	require.EqualValues(t, n, errorCount(s))
}

func errorCount(s *Server) (n int) {
	for _, e := range s.stats().Endpoints {
		n += e.NumErrors
	}
	return n
}

func TestRepliesGoToInboxesOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		subject, reply string
		answerable     bool
	}{
		{"core.tenant.get", "_INBOX_operator.x.1", true},
		{"core.tenant.get", "_INBOX.x.1", true},
		{"core.tenant.get", "", false},
		{"core.tenant.get", "_R_.x", false},
		{"core.tenant.get", "core.audit.events.t.s.a", false},
		{"core.tenant.get", "$SYS.REQ.SERVER.X.KICK", false},
		{"core.tenant.get", "x._INBOX_operator.1", false},
		{"m.crm.core.tenant.get", "_R_.x.y", true},
		{"m.crm.core.tenant.get", "", false},
		{"m.crm.core.tenant.get", "_INBOX_operator.x", false},
		{"m.crm.core.tenant.get", "_R_", false},
		{"m.crm.core.tenant.get", "core.audit.events.t.s.a", false},
	} {
		require.Equal(t, c.answerable, answerable(&nats.Msg{Subject: c.subject, Reply: c.reply}), "%+v", c)
	}
}

func TestTheSubjectOrTheBridgeSaysWhoCalls(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.who", contract.Internal|contract.Module|contract.Anonymous)
	fast := operation("tenant.whofast", contract.Internal|contract.Module|contract.Anonymous)
	who := func(ctx context.Context, _ *ask) (*told, error) { return &told{PrincipalFrom(ctx).encode()}, nil }
	require.NoError(t, Handle(s.Server, op, who))
	require.NoError(t, HandleFast(s.Server, fast, func(ctx context.Context, r *ask) (*told, bool, error) {
		answer, err := who(ctx, r)
		return answer, true, err
	}, nil))
	bridge, crm := s.bus.user(natsconn.HTTPBridge), s.bus.user(module)
	for _, c := range []struct {
		nc     *nats.Conn
		header []string
		want   string // "" for refused
	}{
		{bridge, nil, "service;;"},
		{bridge, []string{"module;crm;crm-abcdefgh"}, "module;crm;crm-abcdefgh"},
		{bridge, []string{"anonymous;;"}, "anonymous;;"},
		{bridge, []string{"service;;"}, "service;;"},
		{bridge, []string{""}, ""},
		{bridge, []string{"module"}, ""},
		{bridge, []string{"module;;"}, ""},
		{bridge, []string{"module;CRM;k"}, ""},
		{bridge, []string{"module;crm.x;k"}, ""},
		{bridge, []string{"module;*;k"}, ""},
		{bridge, []string{"module;crm;k;more"}, ""},
		{bridge, []string{"operator;;"}, ""},
		{bridge, []string{"Service;;"}, ""},
		{bridge, []string{";;"}, ""},
		// A module is whom the server let it be, whatever it says.
		{crm, nil, "module;crm;"},
		{crm, []string{"service;;"}, "module;crm;"},
		{crm, []string{"module;billing;k"}, "module;crm;"},
		{crm, []string{"nonsense"}, "module;crm;"},
	} {
		for _, spec := range []*contract.Spec{op.Spec, fast.Spec} {
			subject := spec.Subject()
			if c.nc == crm {
				subject = spec.ModuleSubject(module)
			}
			header := nats.Header{}
			if c.header != nil {
				header[principalHeader] = c.header
			}
			reply, e := raw(t, c.nc, subject, header, ``)
			if c.want == "" {
				require.NotNil(t, e, "%q is believed", c.header)
				require.Equal(t, contract.Unauthenticated, e.Code)
				continue
			}
			require.Nil(t, e, "%q", c.header)
			require.JSONEq(t, `{"text":"`+c.want+`"}`, string(reply.Data), "%q", c.header)
		}
	}
	// Another spelling of the header is no header: NATS keeps the case.
	reply, e := raw(t, bridge, op.Subject(), nats.Header{"buildify-principal": {"module;crm;k"}}, ``)
	require.Nil(t, e)
	require.Contains(t, string(reply.Data), "service;;")
}

func TestWhoMayUseAnOperationAtAll(t *testing.T) {
	t.Parallel()
	s := &Server{}
	service, mod, anonymous := Principal{Kind: KindService}, Principal{Kind: KindModule, Module: "crm"}, Principal{Kind: KindAnonymous}
	for _, c := range []struct {
		access    contract.Access
		principal Principal
		bearer    string
		want      contract.Code
	}{
		{contract.Internal, service, "", ""},
		{contract.Internal, mod, "", contract.PermissionDenied},
		{contract.Internal, anonymous, "", contract.PermissionDenied},
		{contract.Internal, anonymous, "token", contract.PermissionDenied},
		{contract.Module, mod, "", ""},
		{contract.Module, service, "", contract.PermissionDenied},
		{contract.Module, anonymous, "", contract.Unauthenticated},
		{contract.Module | contract.Internal, service, "", ""},
		{contract.Anonymous, anonymous, "", ""},
		{contract.Anonymous, mod, "", ""},
		{contract.User, anonymous, "token", ""},
		{contract.User, anonymous, "", contract.Unauthenticated},
		{contract.User, mod, "", contract.Unauthenticated},
		{contract.User, service, "", contract.Unauthenticated},
		{0, service, "token", contract.PermissionDenied},
	} {
		e := s.admit(&contract.Spec{Name: "x.y", Access: c.access}, &call{principal: c.principal, bearer: c.bearer})
		got := contract.Code("")
		if e != nil {
			got = e.Code
		}
		require.Equal(t, c.want, got, "%+v", c)
	}
}

func TestInternalOperationsHaveNoSubjectForModules(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.internal", contract.Internal)
	require.NoError(t, Handle(s.Server, op, echo))
	_, err := s.bus.user(module).RequestWithContext(bounded(t), op.ModuleSubject(module), nil)
	require.ErrorIs(t, err, nats.ErrNoResponders)
	_, e := raw(t, s.bus.user(natsconn.HTTPBridge), op.Subject(), nats.Header{principalHeader: {"module;crm;k"}}, ``)
	require.Equal(t, contract.PermissionDenied, e.Code)
}

// people verifies tokens of the form "user:<id>" and lets "user:admin" do
// everything.
type people struct{ broken error }

func (p people) VerifyUser(_ context.Context, token string) (User, error) {
	if id, ok := strings.CutPrefix(token, "user:"); ok {
		return User{ID: id, TenantID: "t", SessionID: "s"}, nil
	}
	return User{}, &contract.Error{Code: contract.Unauthenticated, Field: "Authorization", Message: "no"}
}

func (p people) Allowed(_ context.Context, user User, permission string) (bool, error) {
	return user.ID == "admin" && permission == "things:read", p.broken
}

func TestAUserIsVerifiedAndHoldsThePermission(t *testing.T) {
	t.Parallel()
	op := operation("tenant.things", contract.User)
	op.Permission = "things:read"
	who := func(ctx context.Context, _ *ask) (*told, error) { return &told{UserFrom(ctx).ID}, nil }
	for name, c := range map[string]struct {
		cfg           func(*ServerConfig)
		authorization string
		want          contract.Code
	}{
		"allowed":                  {authorization: "Bearer user:admin"},
		"any case of the scheme":   {authorization: "bearer user:admin"},
		"spaces around":            {authorization: "Bearer   user:admin "},
		"without the permission":   {authorization: "Bearer user:other", want: contract.PermissionDenied},
		"a token that is none":     {authorization: "Bearer nonsense", want: contract.Unauthenticated},
		"another scheme":           {authorization: "Basic user:admin", want: contract.Unauthenticated},
		"the token alone":          {authorization: "user:admin", want: contract.Unauthenticated},
		"no token":                 {want: contract.Unauthenticated},
		"an empty token":           {authorization: "Bearer ", want: contract.Unauthenticated},
		"rbac is away":             {cfg: func(c *ServerConfig) { c.Permissions = people{nats.ErrNoResponders} }, authorization: "Bearer user:admin", want: contract.Unavailable},
		"nobody verifies users":    {cfg: func(c *ServerConfig) { c.Users = nil }, authorization: "Bearer user:admin", want: contract.PermissionDenied},
		"nobody knows permissions": {cfg: func(c *ServerConfig) { c.Permissions = nil }, authorization: "Bearer user:admin", want: contract.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(cfg *ServerConfig) {
				cfg.Users, cfg.Permissions = people{}, people{}
				if c.cfg != nil {
					c.cfg(cfg)
				}
			})
			require.NoError(t, Handle(s.Server, op, who))
			out, err := s.client.Do(bounded(t), op.Spec, Outgoing{Authorization: c.authorization, Principal: Principal{Kind: KindAnonymous}})
			require.Equal(t, c.want, code(t, err))
			if err == nil {
				require.JSONEq(t, `{"text":"admin"}`, string(out))
			}
		})
	}
}

func TestAFastHandlerCannotServeUsers(t *testing.T) {
	t.Parallel()
	s := serve(t, func(cfg *ServerConfig) { cfg.Users, cfg.Permissions = people{}, people{} })
	op := operation("tenant.things", contract.User)
	require.Error(t, HandleFast(s.Server, op, fastEcho, nil), "it would answer before the user is verified")
	require.Error(t, Handle(s.Server, operation("audit.things", contract.Internal), echo), "another service's operation")
}

func TestTheTraceGoesFromTheCallerToTheHandler(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.trace", contract.Internal)
	require.NoError(t, Handle(s.Server, op, func(ctx context.Context, _ *ask) (*told, error) {
		return &told{trace.SpanContextFromContext(ctx).TraceID().String()}, nil
	}))
	ctx, span := s.client.tracer.Start(bounded(t), "caller")
	defer span.End()
	answer, err := Call(ctx, s.client, op, &ask{})
	require.NoError(t, err)
	require.Equal(t, span.SpanContext().TraceID().String(), answer.Text)
	for _, header := range []nats.Header{nil, {"traceparent": {"nonsense"}}, {"traceparent": {}}} {
		reply, e := raw(t, s.client.nats, op.Subject(), header, ``)
		require.Nil(t, e)
		require.NotContains(t, string(reply.Data), span.SpanContext().TraceID().String(), "a trace of its own")
	}
}

func TestTheRequestIDIsTheCallersOrOurs(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.id", contract.Internal)
	require.NoError(t, Handle(s.Server, op, func(ctx context.Context, _ *ask) (*told, error) {
		require.Equal(t, RequestID(ctx), RequestID(ctx))
		return &told{RequestID(ctx)}, nil
	}))
	for id, kept := range map[string]bool{
		"0123-abc_X": true, strings.Repeat("a", 64): true, "01234567": true,
		"": false, "short": false, strings.Repeat("a", 65): false, "with space": false, "with\"quote": false, "dot.ted.id": false, "ünïcödé-id": false,
	} {
		reply, e := raw(t, s.client.nats, op.Subject(), nats.Header{contract.HeaderRequestID: {id}}, ``)
		require.Nil(t, e)
		var answer told
		require.NoError(t, json.Unmarshal(reply.Data, &answer))
		require.Equal(t, kept, answer.Text == id, "%q", id)
		require.True(t, ValidRequestID(answer.Text))
	}
	require.Empty(t, RequestID(context.Background()))
	require.Equal(t, Principal{Kind: KindAnonymous}, PrincipalFrom(context.Background()))
	require.Equal(t, User{}, UserFrom(context.Background()))
}

func TestEachRequestIsCounted(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.counted", contract.Internal)
	require.NoError(t, Handle(s.Server, op, func(ctx context.Context, r *ask) (*told, error) {
		if r.Text == "missing" {
			return nil, contract.Missing("thing")
		}
		return echo(ctx, r)
	}))
	for _, text := range []string{"a", "b", "missing", "c", "missing"} {
		_, _ = Call(bounded(t), s.client, op, &ask{text})
	}
	_, _ = s.client.Do(bounded(t), op.Spec, Outgoing{Body: []byte(`{`)})
	require.Equal(t, map[string]float64{"ok": 3, "not_found": 2, "invalid_argument": 1}, counted(t, s.cfg.Telemetry, op.Name))
	families, err := s.cfg.Telemetry.Metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "buildify_operation_duration_seconds" {
			require.EqualValues(t, 6, f.GetMetric()[0].GetHistogram().GetSampleCount())
		}
		if f.GetName() == "buildify_operation_inflight" {
			require.Eventually(t, func() bool {
				families, err := s.cfg.Telemetry.Metrics.Gather()
				require.NoError(t, err)
				for _, f := range families {
					if f.GetName() == "buildify_operation_inflight" {
						return f.GetMetric()[0].GetGauge().GetValue() == 0
					}
				}
				return false
			}, limit, time.Millisecond)
		}
	}
}

// counted returns the requests of an operation by their code.
func counted(t testing.TB, tel *Telemetry, operation string) map[string]float64 {
	t.Helper()
	families, err := tel.Metrics.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "buildify_operation_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["operation"] == operation {
				all[labels["code"]] = m.GetCounter().GetValue()
			}
		}
	}
	return all
}

func TestStopFinishesWhatIsInWork(t *testing.T) {
	t.Parallel()
	s, g := serve(t), newGate()
	op := operation("tenant.slow", contract.Internal)
	require.NoError(t, Handle(s.Server, op, g.handle))
	probe := operation("tenant.probe", contract.Internal) // drained after the others
	require.NoError(t, HandleFast(s.Server, probe, fastEcho, nil))
	var working []<-chan error
	for range 5 {
		working = append(working, asking(t, s.client, op, "x"))
		g.await(t)
	}
	// Too impatient a Stop says so, and what is in work goes on.
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.Stop(ended), context.Canceled)

	var all sync.WaitGroup
	stopped := make(chan error, 3)
	for range 3 {
		all.Go(func() { stopped <- s.Stop(context.Background()) })
	}
	require.Eventually(t, func() bool { // nobody new is admitted
		_, err := s.client.nats.RequestWithContext(bounded(t), probe.Subject(), nil)
		return errors.Is(err, nats.ErrNoResponders)
	}, limit, time.Millisecond)
	require.Equal(t, contract.Unavailable, code(t, <-asking(t, s.client, op, "late")))
	select {
	case err := <-stopped:
		t.Fatal("stopped before the work was done:", err)
	default:
	}
	close(g.release)
	for _, done := range working {
		require.NoError(t, <-done)
	}
	all.Wait()
	for range 3 {
		require.NoError(t, <-stopped)
	}
	require.NoError(t, s.Stop(context.Background()))
	s.cfg.NATS.Close()
	require.NoError(t, s.Stop(context.Background()), "after the connection's end there is nothing to do")
}

func TestStopDoesNotWaitForABusThatIsAway(t *testing.T) {
	t.Parallel()
	s := serve(t)
	require.NoError(t, Handle(s.Server, operation("tenant.any", contract.Internal), echo))
	s.bus.stop()
	require.Eventually(t, func() bool { return !s.cfg.NATS.IsConnected() }, limit, time.Millisecond)
	begin := time.Now()
	require.NoError(t, s.Stop(bounded(t)))
	require.Less(t, time.Since(begin), 5*time.Second)
}

func TestServiceDiscoveryAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.found", contract.Internal|contract.Module)
	require.NoError(t, Handle(s.Server, op, func(_ context.Context, r *ask) (*told, error) {
		if r.Text == "" {
			return nil, contract.Missing("thing")
		}
		return &told{}, nil
	}))
	for _, text := range []string{"a", "", "b", ""} {
		_, _ = Call(bounded(t), s.client, op, &ask{text})
	}
	identity := micro.ServiceIdentity{Name: "tenant", ID: s.id, Version: "1.2.3"}
	for _, suffix := range []string{"", ".tenant", ".tenant." + s.id} {
		var ping micro.Ping
		s.discover(t, "$SRV.PING"+suffix, &ping)
		require.Equal(t, micro.Ping{ServiceIdentity: identity, Type: micro.PingResponseType}, ping)

		var info micro.Info
		s.discover(t, "$SRV.INFO"+suffix, &info)
		require.Equal(t, identity, info.ServiceIdentity)
		require.Equal(t, micro.InfoResponseType, info.Type)
		require.ElementsMatch(t, []micro.EndpointInfo{
			{Name: op.Name, Subject: "core.tenant.found", QueueGroup: "core"},
			{Name: op.Name, Subject: "m.*.core.tenant.found", QueueGroup: "core"},
		}, info.Endpoints)

		var stats micro.Stats
		s.discover(t, "$SRV.STATS"+suffix, &stats)
		require.Equal(t, identity, stats.ServiceIdentity)
		require.Len(t, stats.Endpoints, 1)
		e := stats.Endpoints[0]
		require.Equal(t, 4, e.NumRequests)
		require.Equal(t, 2, e.NumErrors)
		require.Equal(t, "not_found", e.LastError)
		require.Positive(t, e.ProcessingTime)
		require.Equal(t, e.ProcessingTime/4, e.AverageProcessingTime)
	}
	for _, other := range []string{"$SRV.PING.auth", "$SRV.PING.tenant.another"} {
		_, err := s.client.nats.RequestWithContext(bounded(t), other, nil)
		require.ErrorIs(t, err, nats.ErrNoResponders, other)
	}
}

func (s *serving) discover(t *testing.T, subject string, into any) {
	t.Helper()
	reply, err := s.client.nats.RequestWithContext(bounded(t), subject, nil)
	require.NoError(t, err, subject)
	require.NoError(t, json.Unmarshal(reply.Data, into), "%s", reply.Data)
}
