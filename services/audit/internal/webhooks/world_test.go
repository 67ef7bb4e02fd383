package webhooks

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

func TestMain(m *testing.M) { kittest.Main(m) }

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// grants are what modules may hear, as module/tenant/type.
type grants struct {
	sync.Mutex
	all map[string]bool
}

func (g *grants) Hears(module, tenant, eventType string) bool {
	g.Lock()
	defer g.Unlock()
	return g.all[module+"/"+tenant+"/"+eventType]
}

func (g *grants) set(yes bool, module, tenant, eventType string) {
	g.Lock()
	defer g.Unlock()
	g.all[module+"/"+tenant+"/"+eventType] = yes
}

// world is a bus with an empty stream, a database, and an App.
type world struct {
	t         testing.TB
	dir, url  string
	server    *natsserver.Server
	directory *directory.Directory
	grants    *grants
	roots     *x509.CertPool
	cfg       Config
	*App
	js     jetstream.JetStream
	others map[string]jetstream.JetStream // by service
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), url: kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) }),
		directory: directory.New(slog.New(slog.DiscardHandler)), grants: &grants{all: map[string]bool{}},
		roots: x509.NewCertPool(), others: map[string]jetstream.JetStream{},
	}
	require.NoError(t, natsserver.Init(w.dir))
	var err error
	w.server, err = natsserver.Start(bounded(t), natsserver.Config{Dir: w.dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.server.Stop(bounded(t))) })
	w.js = w.as(natsconn.Audit)
	require.NoError(t, events.Ensure(bounded(t), w.js, events.EventsStream, 1))
	w.cfg = Config{
		Directory: w.directory, Grants: w.grants, Secret: []byte(strings.Repeat("s", 32)), Version: "test", Committed: func() {},
		AllowPrivate: true, Retries: slices.Repeat([]time.Duration{10 * time.Millisecond}, 5),
	}
	for _, f := range change {
		f(&w.cfg)
	}
	w.App = w.app()
	return w
}

// app is a replica's, not sending yet.
func (w *world) app() *App {
	w.t.Helper()
	cfg := w.cfg
	db, err := database.Open(bounded(w.t), w.url, "audit", 8)
	require.NoError(w.t, err)
	w.t.Cleanup(db.Close)
	transport := newTransport(true)
	transport.TLSClientConfig.RootCAs = w.roots
	cfg.DB, cfg.Transport, cfg.Log, cfg.Metrics = db, transport, slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	a, err := New(bounded(w.t), cfg)
	require.NoError(w.t, err)
	return a
}

// as connects as a user of the bus.
func (w *world) as(user string) jetstream.JetStream {
	w.t.Helper()
	if js := w.others[user]; js != nil {
		return js
	}
	nc, err := natsconn.Connect(bounded(w.t), natsconn.Config{URL: w.server.URL(), User: user, SeedFile: natsserver.SeedFile(w.dir, user)})
	require.NoError(w.t, err)
	w.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(w.t, err)
	w.others[user] = js
	return js
}

// run has a replica take in and send.
func (w *world) run(a *App) (*Intake, *Sender) {
	w.t.Helper()
	intake, err := a.StartIntake(bounded(w.t), w.js)
	require.NoError(w.t, err)
	sender := a.StartSender()
	w.t.Cleanup(func() { intake.Stop(); sender.Stop(bounded(w.t)) })
	return intake, sender
}

// tenant is an active one.
func (w *world) tenant() string {
	id := uuid.NewString()
	w.putTenant(id, true, 1)
	return id
}

func (w *world) putTenant(id string, active bool, revision int64) {
	w.directory.PutTenant(contract.Tenant{ID: id, Code: id[:8], IsActive: active, Revision: revision})
}

// person may administer the tenant.
func (w *world) person(tenant string) context.Context {
	return kit.WithCaller(bounded(w.t), kit.Caller{Principal: kit.Principal{Kind: kit.KindAnonymous}, User: kit.User{ID: uuid.NewString(), TenantID: tenant}})
}

// module shows an API key, which is good for tenants only if there are some.
func (w *world) module(module, key string, tenants ...string) context.Context {
	return kit.WithCaller(bounded(w.t), kit.Caller{Principal: kit.Principal{Kind: kit.KindModule, Module: module, KeyID: key, Tenants: tenants}})
}

// publish tells an event as the service does that it is of; it returns its id.
func (w *world) publish(kind events.Kind, tenant string, data any) string {
	w.t.Helper()
	e, err := events.New(kind, tenant, 1, data)
	require.NoError(w.t, err)
	require.NoError(w.t, events.Publish(bounded(w.t), w.as(kind.Service), e, e.ID()))
	return e.ID()
}

// create makes a webhook that leads to the receiver.
func (w *world) create(ctx context.Context, r *receiver, change ...func(*contract.CreateWebhookRequest)) contract.Webhook {
	w.t.Helper()
	request := &contract.CreateWebhookRequest{URL: r.URL}
	for _, f := range change {
		f(request)
	}
	made, err := w.Create(ctx, request)
	require.NoError(w.t, err)
	r.trust(w.t, made.Secret)
	return made.Webhook
}

func types(all ...string) func(*contract.CreateWebhookRequest) {
	return func(r *contract.CreateWebhookRequest) { r.Types = all }
}

// settled waits until no delivery is under way or waits, and lists them.
func (w *world) settled(ctx context.Context, webhook string, n int) []contract.Delivery {
	w.t.Helper()
	return w.deliveries(ctx, webhook, n, func(d contract.Delivery) bool { return d.State != "waiting" })
}

// deliveries waits until there are n that are as they should be, and lists all.
func (w *world) deliveries(ctx context.Context, webhook string, n int, as func(contract.Delivery) bool) []contract.Delivery {
	w.t.Helper()
	var page *contract.ListDeliveriesResponse
	require.Eventually(w.t, func() bool {
		var err error
		page, err = w.Deliveries(ctx, &contract.ListDeliveriesRequest{WebhookID: contract.ID(webhook), Limit: 500})
		require.NoError(w.t, err)
		good := 0
		for _, d := range page.Items {
			if as(d) {
				good++
			}
		}
		return good >= n
	}, limit, 2*time.Millisecond)
	return page.Items
}

func (w *world) detail(ctx context.Context, d contract.Delivery) *contract.DeliveryDetail {
	w.t.Helper()
	detail, err := w.Delivery(ctx, &contract.DeliveryRequest{WebhookID: contract.ID(d.WebhookID), DeliveryID: contract.ID(d.ID)})
	require.NoError(w.t, err)
	return detail
}

func (w *world) get(ctx context.Context, id string) *contract.Webhook {
	w.t.Helper()
	webhook, err := w.Get(ctx, &contract.WebhookRequest{WebhookID: contract.ID(id)})
	require.NoError(w.t, err)
	return webhook
}

// told are the events of a kind that wait in the outbox.
func (w *world) told(kind events.Kind) (all []events.WebhookChange) {
	w.t.Helper()
	rows, err := w.DB.Query(bounded(w.t), "SELECT event FROM outbox WHERE event->>'type' = $1 ORDER BY id", kind.Type())
	require.NoError(w.t, err)
	raws, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(w.t, err)
	for _, raw := range raws {
		var e events.Event
		require.NoError(w.t, json.Unmarshal(raw, &e))
		data, err := events.Data[events.WebhookChange](e)
		require.NoError(w.t, err)
		all = append(all, data)
	}
	return all
}

// message is what a receiver got.
type message struct {
	events.Event
	header http.Header
	body   []byte
}

// receiver is an address over TLS, which verifies what it gets.
type receiver struct {
	*httptest.Server
	got chan message

	mu      sync.Mutex
	secrets []string
	answer  http.HandlerFunc // nil is 204
}

func (w *world) receiver() *receiver {
	w.t.Helper()
	r := &receiver{got: make(chan message, 10_000)}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		m := message{header: request.Header, body: body}
		if err := json.Unmarshal(body, &m.Event); err != nil {
			w.t.Errorf("not a CloudEvent: %v", err)
		}
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		if !r.verifies(m) {
			w.t.Errorf("no good signature: %v", m.header)
		}
		r.got <- m
		if answer == nil {
			rw.WriteHeader(http.StatusNoContent)
			return
		}
		answer(rw, request)
	}))
	w.roots.AddCert(r.Certificate())
	w.t.Cleanup(r.Close)
	return r
}

// verifies reports whether one of the known secrets signed a message.
func (r *receiver) verifies(m message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range r.secrets {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err == nil && verifier.Verify(m.body, m.header) == nil {
			return m.header.Get("webhook-id") == m.ID()
		}
	}
	return false
}

func (r *receiver) trust(t testing.TB, secret string) {
	t.Helper()
	require.True(t, strings.HasPrefix(secret, "whsec_"))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = append(r.secrets, secret)
}

func (r *receiver) answers(with http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = with
}

// status answers nothing but that.
func status(code int) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(code) }
}

// takes waits for n messages.
func (r *receiver) takes(t testing.TB, n int) (all []message) {
	t.Helper()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for len(all) < n {
		select {
		case m := <-r.got:
			all = append(all, m)
		case <-timeout.C:
			require.Failf(t, "too few", "%d of %d", len(all), n)
		}
	}
	return all
}

func ids(all []message) (ids []string) {
	for _, m := range all {
		ids = append(ids, m.ID())
	}
	return ids
}
