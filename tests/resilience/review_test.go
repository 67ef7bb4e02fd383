package resilience

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/cmd/buildify/platform"
	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/tests/stack"
)

func TestAnEventThatTheDatabaseRefusesHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	// Nobody but the ingress can publish there; this is the ingress's own user.
	nc, err := natsconn.Connect(stack.Context(t), natsconn.Config{
		URL: s.NATSURL, User: natsconn.Audit, SeedFile: natsserver.SeedFile(s.Credentials, natsconn.Audit),
	})
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for i, kind := range []string{"x\x00y", "fine"} {
		e, err := events.Make("dev.buildify.audit.event.logged.v1", "/modules/test", events.AuditSubject(c.Tenant.ID, "test", "poison.test"),
			map[string]string{events.TenantID: c.Tenant.ID, events.ActorID: c.Reader.ID},
			map[string]any{"user_id": c.Reader.ID, "source": "test", "action": "poison.test", "resource_type": kind})
		require.NoError(t, err)
		require.NoError(t, events.Publish(stack.Context(t), js, e, fmt.Sprint("poison-", i)))
	}
	require.Eventually(t, func() bool { return len(trail(t, s, c, "poison.test")) == 1 }, stack.Timeout, 10*time.Millisecond)
	conn, err := pgx.Connect(stack.Context(t), s.DatabaseURL)
	require.NoError(t, err)
	defer conn.Close(stack.Context(t))
	var kept int
	require.NoError(t, conn.QueryRow(stack.Context(t), "SELECT count(*) FROM audit.dead_letter").Scan(&kept))
	require.Equal(t, 1, kept)
}

func TestThousandsOfTenantsStart(t *testing.T) {
	t.Parallel()
	const tenants = 3000
	database := kittest.Database(t, stack.Migrate)
	conn, err := pgx.Connect(stack.Context(t), database)
	require.NoError(t, err)
	defer conn.Close(stack.Context(t))
	_, err = conn.Exec(stack.Context(t), `
		INSERT INTO tenant.tenants (id, code, name) SELECT gen_random_uuid(), 'T' || n, repeat('n', 200) FROM generate_series(1, $1::int) AS n`, tenants)
	require.NoError(t, err)
	_, err = conn.Exec(stack.Context(t), `
		INSERT INTO tenant.activations (tenant_id, module, enabled) SELECT id, 'module' || n, true FROM tenant.tenants, generate_series(1, 6) AS n`)
	require.NoError(t, err)
	// Seconds; more with the race detector beside other tests.
	starting, cancel := context.WithTimeout(context.Background(), 3*stack.Timeout)
	defer cancel()
	p, err := platform.Start(starting, platform.Config{
		HTTP: "127.0.0.1:0", NATS: "127.0.0.1:0", Ops: "127.0.0.1:0", Data: t.TempDir(), DatabaseURL: database,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Stop()) }()
	seen := 0
	for request := (&contract.SnapshotRequest{}); ; {
		page, err := kit.Call(stack.Context(t), p.Client, contract.ListTenants, request)
		require.NoError(t, err)
		seen += len(page.Items)
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			break
		}
	}
	require.Equal(t, tenants, seen)
}

func TestALargePageIsCutAndGoesOnAtItsCursor(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	module := stack.HTTPCaller{URL: s.HTTPURL, APIKey: c.APIKey}
	const events = 30
	for range events {
		_, refused := module.Call(t, contract.LogAudit.Spec, `{"user_id":"`+c.Reader.ID+`","action":"large","resource_type":"x","details":"`+strings.Repeat("<", 65_000)+`"}`)
		require.Nil(t, refused)
	}
	require.Eventually(t, func() bool { return len(trail(t, s, c, "large")) == events }, stack.Timeout, 50*time.Millisecond)
	out, refused := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Admin)}.Call(t, contract.ListAudit.Spec, `{"action":"large","limit":500}`)
	require.Nil(t, refused)
	var page contract.ListAuditResponse
	require.NoError(t, json.Unmarshal(out, &page))
	require.NotEmpty(t, page.NextCursor)
	require.Less(t, len(out), contract.MaxBody, "what was recorded comes back as long as it was")
}

func TestReadinessIsNotSettledByAClientThatLeft(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	address, err := url.Parse(s.HTTPURL)
	require.NoError(t, err)
	for range 50 {
		conn, err := net.Dial("tcp", address.Host)
		require.NoError(t, err)
		_, err = conn.Write([]byte("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).SetLinger(0)) //nolint:errcheck // what Dial gives for tcp
		require.NoError(t, conn.Close())
		response, err := http.Get(s.HTTPURL + "/readyz")
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
}

func TestASlowUploadDoesNotHoldUpTheStop(t *testing.T) {
	t.Parallel()
	p, err := platform.Start(stack.Context(t), platform.Config{
		HTTP: "127.0.0.1:0", NATS: "127.0.0.1:0", Ops: "127.0.0.1:0", Data: t.TempDir(), DatabaseURL: kittest.Database(t, stack.Migrate),
	})
	require.NoError(t, err)
	address, err := url.Parse(p.HTTPURL)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", address.Host)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
	require.NoError(t, err)
	answer, err := http.Get(p.HTTPURL + "/healthz") // by now the server has the request above
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.NoError(t, p.Stop())
}
