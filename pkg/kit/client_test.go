package kit

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
)

func TestWhatNobodyServesIsUnavailableAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	begin := time.Now()
	_, err := Call(context.Background(), s.client, contract.GetTenant, &contract.GetTenantRequest{})
	require.Equal(t, contract.Unavailable, code(t, err))
	require.Less(t, time.Since(begin), time.Second, "not after the operation's timeout")
	s.client.nats.Close()
	_, err = Call(context.Background(), s.client, contract.GetTenant, &contract.GetTenantRequest{})
	require.Equal(t, contract.Unavailable, code(t, err))
}

func TestABodyBeyondTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.size", contract.Internal)
	require.NoError(t, Handle(s.Server, op, func(context.Context, *ask) (*told, error) { return &told{}, nil }))
	for size, want := range map[int]contract.Code{
		contract.MaxBody:           "",
		contract.MaxBody + 1:       contract.PayloadTooLarge,
		contract.MaxBody + 128<<10: contract.PayloadTooLarge, // beyond what the bus takes at all
	} {
		frame := `{"text":""}`
		body := strings.Replace(frame, `""`, `"`+strings.Repeat("x", size-len(frame))+`"`, 1)
		require.Len(t, body, size)
		_, err := s.client.Do(bounded(t), op.Spec, Outgoing{Body: []byte(body)})
		require.Equal(t, want, code(t, err), size)
		padded := append([]byte(`{"text":"x"}`), bytes.Repeat([]byte(" "), size-12)...)
		_, err = s.client.Do(bounded(t), op.Spec, Outgoing{Body: padded})
		require.Equal(t, want, code(t, err), "%d, mostly white space", size)
	}
}

func TestWhatTheClientSendsArrivesAsSent(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.arrive", contract.Internal|contract.Module|contract.Anonymous)
	got := make(chan *call, 1)
	require.NoError(t, Handle(s.Server, op, func(ctx context.Context, _ *ask) (*told, error) {
		got <- callFrom(ctx)
		return &told{}, nil
	}))
	bridge := NewClient(s.bus.user(natsconn.HTTPBridge), telemetry(t, nil))
	out := Outgoing{
		Principal:     Principal{Kind: KindModule, KeyID: "crm-abcdefgh", Module: "crm"},
		Authorization: "Bearer a.b.c\r\nBuildify-Principal: service;;", RequestID: "request-1",
	}
	_, err := bridge.Do(bounded(t), op.Spec, out)
	require.NoError(t, err)
	c := <-got
	want := out.Principal
	want.Operation = op.Name
	require.Equal(t, want, c.principal)
	require.Equal(t, "request-1", c.id)
	require.Equal(t, "a.b.c  Buildify-Principal: service;;", c.bearer, "a header cannot be added through another")
}

func TestAnErrorArrivesAsItWasTold(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.fail", contract.Internal)
	want := &contract.Error{Code: contract.Conflict, Field: "text", Message: "is “taken”"}
	require.NoError(t, Handle(s.Server, op, func(context.Context, *ask) (*told, error) { return nil, want }))
	ctx := context.WithValue(bounded(t), callKey{}, &call{id: "request-2"})
	_, err := Call(ctx, s.client, op, &ask{})
	require.Equal(t, &contract.Error{Code: want.Code, Field: want.Field, Message: want.Message, RequestID: "request-2"}, err)
	require.Empty(t, want.RequestID, "a shared error is not written to")
}

func TestReadinessTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ops, err := StartOps(bounded(t), "127.0.0.1:0", s.cfg.Telemetry, NewHealth(s.bus.user(natsconn.HTTPBridge), "tenant"))
	require.NoError(t, err)
	defer func() { require.NoError(t, ops.Stop(bounded(t))) }()
	status, body := get(t, ops.URL()+"/readyz")
	require.Equal(t, 503, status)
	require.Contains(t, body, "this process")
	status, _ = get(t, ops.URL()+"/healthz")
	require.Equal(t, 200, status)
	status, body = get(t, ops.URL()+"/metrics")
	require.Equal(t, 200, status)
	require.Contains(t, body, "buildify_operation_inflight")

	nc := s.bus.user(natsconn.HTTPBridge)
	h := NewHealth(nc, "tenant", "audit")
	h.Started()
	require.Equal(t, []string{"audit"}, h.Missing(bounded(t)))
	h = NewHealth(nc, "tenant")
	h.Started()
	require.Empty(t, h.Missing(bounded(t)))
	h.Drain()
	require.Equal(t, []string{"this process"}, h.Missing(bounded(t)))
	nc.Close()
	h = NewHealth(nc, "tenant")
	h.Started()
	require.Equal(t, []string{"nats"}, h.Missing(bounded(t)))
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}
