package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"
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

func TestALargeRequestIsAnsweredApartFromTheFastOnes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	fast := operation("tenant.fast", contract.Internal)
	require.NoError(t, HandleFast(s.Server, fast, fastEcho, nil))
	text := strings.Repeat("a", 5*maxFastBody)
	answer, err := Call(bounded(t), s.client, fast, &ask{text})
	require.NoError(t, err)
	require.Equal(t, text, answer.Text)
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
