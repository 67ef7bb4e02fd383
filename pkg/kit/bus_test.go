package kit

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

// module is the user in account MODULES that newBus adds, as the auth callout
// would: it may publish under its own name only.
const module = "crm-0123456789ab"

// bus is a server with the production configuration.
type bus struct {
	t      testing.TB
	dir    string
	server *natsserver.Server
}

func newBus(t testing.TB) *bus {
	t.Helper()
	b := &bus{t: t, dir: t.TempDir()}
	require.NoError(t, natsserver.Init(b.dir))
	b.addModule()
	b.start("127.0.0.1:0")
	t.Cleanup(b.stop)
	return b
}

func (b *bus) addModule() {
	pair, err := nkeys.CreateUser()
	require.NoError(b.t, err)
	public, err := pair.PublicKey()
	require.NoError(b.t, err)
	seed, err := pair.Seed()
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(natsserver.SeedFile(b.dir, module), seed, 0o600))
	path := filepath.Join(b.dir, "nats.conf")
	conf, err := os.ReadFile(path)
	require.NoError(b.t, err)
	user := fmt.Sprintf("users: [{ nkey: %q, permissions { publish: [%q], subscribe: [%q] } }]\n",
		public, "m."+module+".core.>", natsconn.InboxPrefix(module)+".>")
	text := string(conf)
	for old, text2 := range map[string]string{
		"  MODULES {\n": "  MODULES {\n" + user,
		"auth_users: [": fmt.Sprintf("auth_users: [%q, ", public),
	} {
		require.Equal(b.t, 1, strings.Count(text, old))
		text = strings.Replace(text, old, text2, 1)
	}
	require.NoError(b.t, os.WriteFile(path, []byte(text), 0o600))
}

func (b *bus) start(listen string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var err error
	b.server, err = natsserver.Start(ctx, natsserver.Config{Dir: b.dir, Listen: listen})
	require.NoError(b.t, err)
}

func (b *bus) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	require.NoError(b.t, b.server.Stop(ctx))
}

// address is where the server listens, to start it there again.
func (b *bus) address() string {
	u, err := url.Parse(b.server.URL())
	require.NoError(b.t, err)
	return u.Host
}

// user connects one of the bus's users.
func (b *bus) user(name string) *nats.Conn {
	b.t.Helper()
	nc, err := natsconn.Connect(bounded(b.t), natsconn.Config{
		URL: b.server.URL(), User: name, SeedFile: natsserver.SeedFile(b.dir, name),
	})
	require.NoError(b.t, err)
	b.t.Cleanup(nc.Close)
	return nc
}

// bounded ends with the test, or after limit.
func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// log is a log that tests read.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func telemetry(t testing.TB, logs *log) *Telemetry {
	t.Helper()
	cfg := TelemetryConfig{Process: "test", TraceSample: 1}
	if logs != nil {
		cfg.LogWriter = logs
	}
	tel, err := NewTelemetry(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Stop(context.Background())) })
	return tel
}

// serving is a server of service tenant, and a client that is the operator.
type serving struct {
	*Server
	bus    *bus
	client *Client
	logs   *log
}

func serve(t testing.TB, change ...func(*ServerConfig)) *serving {
	t.Helper()
	s := &serving{bus: newBus(t), logs: &log{}}
	cfg := ServerConfig{Service: "tenant", Version: "1.2.3", NATS: s.bus.user(natsconn.Tenant), Telemetry: telemetry(t, s.logs)}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	cfg.Keys = unrestricted{}
	s.Server, err = NewServer(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(bounded(t))) })
	s.client = NewClient(s.bus.user(natsconn.Operator), telemetry(t, nil))
	return s
}

type ask struct {
	Text string `json:"text,omitempty"`
}

type told struct {
	Text string `json:"text"`
}

type askOperation = contract.Operation[ask, told]

func operation(name string, access contract.Access) askOperation {
	return askOperation{Spec: &contract.Spec{Name: name, Access: access, Timeout: limit}}
}

// echo answers with what it was asked.
func echo(_ context.Context, r *ask) (*told, error) { return &told{r.Text}, nil }

func fastEcho(_ context.Context, r *ask) (*told, bool, error) { return &told{r.Text}, true, nil }

// code is what a caller is told, "" for success.
func code(t testing.TB, err error) contract.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *contract.Error
	require.ErrorAs(t, err, &e)
	return e.Code
}

// raw sends one request and returns the answer as it came.
func raw(t testing.TB, nc *nats.Conn, subject string, header nats.Header, body string) (*nats.Msg, *contract.Error) {
	t.Helper()
	reply, err := nc.RequestMsgWithContext(bounded(t), &nats.Msg{Subject: subject, Header: header, Data: []byte(body)})
	require.NoError(t, err)
	if reply.Header.Get(contract.HeaderErrorCode) == "" {
		return reply, nil
	}
	e := decodeError(t, reply.Data)
	require.Equal(t, string(e.Code), reply.Header.Get(contract.HeaderErrorCode))
	return reply, e
}

// unrestricted knows every key, and restricts none but those of module
// "install".
type unrestricted struct{}

func (unrestricted) KeyInfo(_ context.Context, id string) (*contract.KeyInfoResponse, error) {
	owner, _ := contract.KeyModule(id)
	info := &contract.KeyInfoResponse{ID: id, Module: owner}
	switch owner {
	case "install":
		info.Tenants = []string{"t1", "t2"}
	case "unknown":
		return nil, contract.Missing("API key")
	}
	return info, nil
}
