package route

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/services/httpbridge/internal/feed"
	"github.com/buildify/core/services/httpbridge/internal/granted"
	"github.com/buildify/core/services/httpbridge/internal/keys"
	"github.com/buildify/core/services/httpbridge/internal/tail"
)

// patience bounds every wait; nothing waits that long unless a test fails.
const patience = 20 * time.Second

// stage is a bridge over real HTTP, on a real bus, with a stand-in for service
// auth.
type stage struct {
	t      testing.TB
	router *Router
	server *httptest.Server
	bridge *nats.Conn
	user   func(name string) *nats.Conn
	rbac   *nats.Conn
	tenant *nats.Conn
	auth   *kit.Server
	js     jetstream.JetStream

	mu    sync.Mutex
	known map[string]*contract.VerifyKeyResponse
}

func newStage(t testing.TB, change ...func(*http.Server)) *stage {
	t.Helper()
	s := &stage{t: t, known: map[string]*contract.VerifyKeyResponse{}}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	require.NoError(t, natsserver.Init(dir))
	bus, err := natsserver.Start(ctx, natsserver.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bus.Stop(ctx)) })
	user := func(name string) *nats.Conn {
		nc, err := natsconn.Connect(ctx, natsconn.Config{URL: bus.URL(), User: name, SeedFile: natsserver.SeedFile(dir, name)})
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	telemetry, err := kit.NewTelemetry(ctx, kit.TelemetryConfig{Process: "test"})
	require.NoError(t, err)
	s.user = user
	auth := user(natsconn.Auth)
	s.bridge, s.rbac, s.tenant = user(natsconn.HTTPBridge), user(natsconn.RBAC), user(natsconn.Tenant)
	s.js, err = jetstream.New(auth)
	require.NoError(t, err)
	require.NoError(t, events.Ensure(ctx, s.js, events.EventsStream, 1))
	s.auth, err = kit.NewServer(kit.ServerConfig{Service: "auth", NATS: auth, Telemetry: telemetry})
	require.NoError(t, err)
	require.NoError(t, kit.Handle(s.auth, contract.VerifyKey, s.verify))
	t.Cleanup(func() { require.NoError(t, s.auth.Stop(ctx)) })

	js, err := jetstream.New(s.bridge)
	require.NoError(t, err)
	client := kit.NewClient(s.bridge, telemetry)
	known, err := keys.Start(ctx, client, js, telemetry.Log)
	require.NoError(t, err)
	t.Cleanup(known.Stop)
	hub := feed.NewHub(s.bridge)
	t.Cleanup(hub.Stop)
	given := granted.NewHub(js, telemetry.Log)
	t.Cleanup(given.Stop)
	tails, err := tail.NewHub(s.bridge)
	require.NoError(t, err)
	t.Cleanup(tails.Stop)
	s.router = &Router{Client: client, Keys: known, Feed: hub, Granted: given, Tails: tails, Telemetry: telemetry}
	mux := http.NewServeMux()
	s.router.Mount(mux)
	s.server = httptest.NewUnstartedServer(mux)
	for _, f := range change {
		f(s.server.Config)
	}
	s.server.Start()
	t.Cleanup(s.server.CloseClientConnections)
	t.Cleanup(hub.Stop)
	t.Cleanup(given.Stop)
	t.Cleanup(tails.Stop)
	return s
}

func (s *stage) verify(_ context.Context, r *contract.VerifyKeyRequest) (*contract.VerifyKeyResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := s.known[r.APIKey]; key != nil {
		return key, nil
	}
	return nil, &contract.Error{Code: contract.Unauthenticated, Message: "the API key is not valid"}
}

// issue makes a key that may read the feed.
func (s *stage) issue(id string, change ...func(*contract.VerifyKeyResponse)) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := contract.NewAPIKey("dev", id, strings.Repeat("0", 64))
	module, _ := contract.KeyModule(id)
	answer := &contract.VerifyKeyResponse{ID: id, Module: module, Operations: []string{contract.PolicyFeed.Name}}
	for _, f := range change {
		f(answer)
	}
	s.known[key.Reveal()] = answer
	return key.Reveal()
}

// end makes a key invalid and says so.
func (s *stage) end(raw string, kind events.Kind, change events.KeyChange) {
	s.t.Helper()
	s.mu.Lock()
	delete(s.known, raw)
	s.mu.Unlock()
	e, err := events.New(kind, "", 0, change)
	require.NoError(s.t, err)
	require.NoError(s.t, events.Publish(s.t.Context(), s.js, e, e.ID()))
}

func (s *stage) tell(module, tenant string, message contract.PolicyFeedMessage) {
	s.t.Helper()
	data, err := json.Marshal(message)
	require.NoError(s.t, err)
	require.NoError(s.t, s.rbac.Publish(contract.FeedSubject(module, tenant), data))
	require.NoError(s.t, s.rbac.Flush())
}

func (s *stage) request(method, raw string) *http.Response {
	s.t.Helper()
	return s.requestOf(contract.PolicyFeed.Spec, method, raw)
}

func (s *stage) requestOf(stream *contract.Spec, method, raw string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+stream.Path, nil)
	require.NoError(s.t, err)
	if raw != "" {
		r.Header.Set(contract.HeaderAPIKey, raw)
	}
	response, err := s.server.Client().Do(r)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// reader is a client of the stream.
type reader struct {
	t    testing.TB
	body io.ReadCloser
	in   *bufio.Reader
}

func newReader(t testing.TB, response *http.Response) *reader {
	return &reader{t, response.Body, bufio.NewReader(response.Body)}
}

// read opens the feed of policies and returns once it is open.
func (s *stage) read(raw string) *reader {
	s.t.Helper()
	return s.readOf(contract.PolicyFeed.Spec, raw)
}

func (s *stage) readOf(stream *contract.Spec, raw string) *reader {
	s.t.Helper()
	response := s.requestOf(stream, http.MethodGet, raw)
	require.Equal(s.t, http.StatusOK, response.StatusCode)
	h := response.Header
	require.Equal(s.t, "text/event-stream", h.Get("Content-Type"))
	require.Equal(s.t, "no-store", h.Get("Cache-Control"))
	require.Equal(s.t, "no", h.Get("X-Accel-Buffering"))
	require.NotEmpty(s.t, h.Get("X-Request-Id"))
	r := newReader(s.t, response)
	require.Equal(s.t, ": open", r.line())
	require.Empty(s.t, r.line())
	return r
}

func (r *reader) line() string {
	r.t.Helper()
	line, err := r.in.ReadString('\n')
	require.NoError(r.t, err)
	return strings.TrimSuffix(line, "\n")
}

func (r *reader) next() (m contract.PolicyFeedMessage) {
	r.t.Helper()
	data, ok := strings.CutPrefix(r.line(), "data: ")
	require.True(r.t, ok)
	require.Empty(r.t, r.line())
	require.NoError(r.t, json.Unmarshal([]byte(data), &m))
	return m
}

// ended waits for the end of the stream and returns what came before it.
func (r *reader) ended() string {
	r.t.Helper()
	over := time.AfterFunc(patience, func() { _ = r.body.Close() })
	rest, _ := io.ReadAll(r.in) // a clean end or a cut
	require.True(r.t, over.Stop(), "it did not end")
	return string(rest)
}

// metric returns how many streams ended for that reason.
func (s *stage) metric(reason string) float64 {
	families, err := s.router.Telemetry.Metrics.Gather()
	require.NoError(s.t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if family.GetName() == "buildify_http_streams_ended_total" && label.GetValue() == reason {
					return metric.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

// settled waits until all streams are closed, and one for that reason.
func (s *stage) settled(reason string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.router.Feed.Readers() == 0 && s.metric(reason) == 1 }, patience, time.Millisecond, reason)
}

func TestAModuleReadsItsFeed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	all, other := s.read(s.issue("crm-aaaaaaaa")), s.read(s.issue("hr-aaaaaaaa"))
	one := s.read(s.issue("crm-bbbbbbbb", func(k *contract.VerifyKeyResponse) { k.Tenants = []string{"t1"} }))
	asOf := time.Now().UTC().Truncate(time.Millisecond)
	step := contract.PolicyFeedMessage{TenantID: "t1", Revision: 7, Step: true, Changes: []contract.PolicyChange{{Role: &contract.PolicyRole{ID: "r", Permissions: []string{"crm:**"}}}}}
	s.tell("crm", "t1", step)
	s.tell("crm", "t2", contract.PolicyFeedMessage{TenantID: "t2", Revision: 1, Step: true})
	s.tell("hr", "t1", contract.PolicyFeedMessage{TenantID: "t1", Revision: 8, Step: true})
	s.tell("crm", contract.FeedBeats, contract.PolicyFeedMessage{AsOf: &asOf})
	require.Equal(t, step, all.next())
	require.Equal(t, "t2", all.next().TenantID)
	require.Equal(t, contract.PolicyFeedMessage{AsOf: &asOf}, all.next())
	require.Equal(t, step, one.next())
	require.Equal(t, contract.PolicyFeedMessage{AsOf: &asOf}, one.next())
	require.EqualValues(t, 8, other.next().Revision)
	require.NoError(t, all.body.Close())
	require.Eventually(t, func() bool { return s.metric("client") == 1 && s.router.Feed.Readers() == 2 }, patience, time.Millisecond)
}

func TestAStreamOutlivesTheTimeoutsOfTheServer(t *testing.T) {
	t.Parallel()
	const timeout = 50 * time.Millisecond
	s := newStage(t, func(h *http.Server) { h.ReadTimeout, h.WriteTimeout = timeout, timeout })
	r := s.read(s.issue("crm-aaaaaaaa"))
	for begin := time.Now(); time.Since(begin) < 4*timeout; {
		<-time.After(timeout / 5) // beats come over time
		s.tell("crm", contract.FeedBeats, contract.PolicyFeedMessage{})
		r.next()
	}
}

func TestWhoMayNotReadIsToldWhy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for name, c := range map[string]struct {
		raw    string
		target string
		status int
		code   contract.Code
	}{
		"no key":            {"", "", http.StatusUnauthorized, contract.Unauthenticated},
		"no key at all":     {"nonsense", "", http.StatusUnauthorized, contract.Unauthenticated},
		"an unknown key":    {contract.NewAPIKey("dev", "crm-zzzzzzzz", strings.Repeat("0", 64)).Reveal(), "", http.StatusUnauthorized, contract.Unauthenticated},
		"without the grant": {s.issue("crm-aaaaaaaa", func(k *contract.VerifyKeyResponse) { k.Operations = []string{"rbac.check"} }), "", http.StatusForbidden, contract.PermissionDenied},
		"elsewhere":         {s.issue("crm-bbbbbbbb", func(k *contract.VerifyKeyResponse) { k.CIDRs = []string{"192.0.2.0/24"} }), "", http.StatusUnauthorized, contract.Unauthenticated},
		"a parameter":       {s.issue("crm-cccccccc"), "?module=hr", http.StatusBadRequest, contract.InvalidArgument},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+contract.PolicyFeed.Path+c.target, nil)
		require.NoError(t, err)
		r.Header.Set(contract.HeaderAPIKey, c.raw)
		r.Header.Set("Authorization", "Bearer x") // is of no use here
		response, err := s.server.Client().Do(r)
		require.NoError(t, err)
		var p contract.Problem
		require.NoError(t, json.NewDecoder(response.Body).Decode(&p), name)
		require.NoError(t, response.Body.Close())
		require.Equal(t, c.status, response.StatusCode, name)
		require.Equal(t, c.code, p.Code, name)
		require.Equal(t, contract.ProblemType, response.Header.Get("Content-Type"))
	}
	require.Zero(t, s.router.Feed.Readers())
}

func TestOnlyGETReadsAStream(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	key := s.issue("crm-aaaaaaaa")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
		response := s.request(method, key)
		require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode, method)
		require.Equal(t, "GET", response.Header.Get("Allow"))
	}
	response := s.request(http.MethodHead, key)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	require.Equal(t, http.StatusUnauthorized, s.request(http.MethodHead, "").StatusCode)
	require.Zero(t, s.router.Feed.Readers())
}

func TestARevokedKeysStreamsEndAtOnce(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]struct {
		kind   events.Kind
		change events.KeyChange
	}{
		"revoked": {events.KeyEnded, events.KeyChange{ID: "crm-aaaaaaaa"}},
		"rotated": {events.KeyCreated, events.KeyChange{ID: "crm-cccccccc", RotatedFrom: "crm-aaaaaaaa"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			key := s.issue("crm-aaaaaaaa")
			r, stays := s.read(key), s.read(s.issue("crm-bbbbbbbb"))
			begin := time.Now()
			s.end(key, told.kind, told.change)
			require.Empty(t, r.ended())
			took := time.Since(begin)
			t.Logf("ended after %v", took)
			require.Less(t, took, time.Second, "a few milliseconds, on an idle machine")
			require.Equal(t, http.StatusUnauthorized, s.request(http.MethodGet, key).StatusCode)
			s.tell("crm", contract.FeedBeats, contract.PolicyFeedMessage{})
			stays.next()
			require.Eventually(t, func() bool { return s.metric("key") == 1 }, patience, time.Millisecond)
		})
	}
}

func TestAStreamEndsWhenItsKeyExpires(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	expires := time.Now().Add(300 * time.Millisecond)
	r := s.read(s.issue("crm-aaaaaaaa", func(k *contract.VerifyKeyResponse) { k.ExpiresAt = &expires }))
	r.ended()
	require.False(t, time.Now().Before(expires))
	require.WithinDuration(t, expires, time.Now(), time.Second)
	s.settled("key")
}

// The event came after the key was verified and before the stream was there to
// hear it.
func TestAKeyThatEndedWhileTheStreamOpenedDoesNotKeepIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	raw := s.issue("crm-aaaaaaaa")
	ctx, end := context.WithCancelCause(t.Context())
	call := &exchange{key: &contract.VerifyKeyResponse{ID: "crm-aaaaaaaa", Module: "crm"}}
	s.mu.Lock()
	delete(s.known, raw)
	s.mu.Unlock()
	s.router.holdKey(ctx, raw, call, end)
	require.Equal(t, keyOver, context.Cause(ctx))
}

// Service auth is away: nobody says that the key ended, so the stream goes on.
func TestAStreamOutlivesAShortAbsenceOfTheIdentityService(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.read(s.issue("crm-aaaaaaaa"))
	require.NoError(t, s.auth.Stop(t.Context()))
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	ctx, end := context.WithCancelCause(short)
	s.router.holdKey(ctx, s.issue("crm-bbbbbbbb"), &exchange{key: &contract.VerifyKeyResponse{ID: "crm-bbbbbbbb", Module: "crm"}}, end)
	require.ErrorIs(t, context.Cause(ctx), context.DeadlineExceeded)
	s.tell("crm", contract.FeedBeats, contract.PolicyFeedMessage{})
	r.next()
}

func TestASlowReaderIsCut(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET "+contract.PolicyFeed.Path+" HTTP/1.1\r\nHost: x\r\nX-API-Key: "+s.issue("crm-aaaaaaaa")+"\r\n\r\n")
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	for line := ""; line != ": open\n"; {
		line, err = in.ReadString('\n')
		require.NoError(t, err)
	}
	// It reads no more. What the network's buffers take is some megabytes.
	role := &contract.PolicyRole{ID: strings.Repeat("x", 100_000)}
	quick := s.read(s.issue("crm-bbbbbbbb"))
	for n := int64(1); s.metric("slow") == 0; n++ {
		require.Less(t, n, int64(1000), "100 MB unread")
		s.tell("crm", "t1", contract.PolicyFeedMessage{Revision: n, Changes: []contract.PolicyChange{{Role: role}}})
		require.Equal(t, n, quick.next().Revision, "others read on")
	}
	require.Eventually(t, func() bool { return s.router.Feed.Readers() == 1 }, patience, time.Millisecond, "though it was being written to")
}

func TestTheStreamEndsWithTheBridgeOrTheBus(t *testing.T) {
	t.Parallel()
	for reason, happens := range map[string]func(*stage){
		"stopping": func(s *stage) { s.router.Feed.Stop() },
		"lost":     func(s *stage) { require.NoError(s.t, s.bridge.ForceReconnect()) },
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			r := s.read(s.issue("crm-aaaaaaaa"))
			happens(s)
			require.Empty(t, r.ended())
			s.settled(reason)
		})
	}
}

func TestAKeysStreamsAreBounded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	key := s.issue("crm-aaaaaaaa")
	for range feed.MaxOfKey {
		s.read(key)
	}
	response := s.request(http.MethodGet, key)
	require.Equal(t, http.StatusTooManyRequests, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	s.read(s.issue("crm-bbbbbbbb"))
}

func TestEachStreamHasItsRouteAndItsGrant(t *testing.T) {
	t.Parallel()
	require.Equal(t, []*contract.Spec{contract.GrantedEvents.Spec, contract.TailAudit.Spec, contract.PolicyFeed.Spec, contract.ModuleNews.Spec}, contract.Streams())
	s := newStage(t)
	of := func(spec *contract.Spec) func(*contract.VerifyKeyResponse) {
		return func(k *contract.VerifyKeyResponse) { k.Operations = []string{spec.Name} }
	}
	policies, news := s.issue("crm-aaaaaaaa", of(contract.PolicyFeed.Spec)), s.issue("crm-bbbbbbbb", of(contract.ModuleNews.Spec))
	require.Equal(t, http.StatusForbidden, s.requestOf(contract.ModuleNews.Spec, http.MethodGet, policies).StatusCode)
	require.Equal(t, http.StatusForbidden, s.requestOf(contract.PolicyFeed.Spec, http.MethodGet, news).StatusCode)
	feed, told := s.read(policies), s.readOf(contract.ModuleNews.Spec, news)
	require.NoError(t, s.tenant.Publish(contract.NewsSubject("crm", "t1"), []byte(`{"tenant_id":"t1","settings_revision":7}`)))
	require.NoError(t, s.tenant.Flush())
	s.tell("crm", "t1", contract.PolicyFeedMessage{TenantID: "t1", Revision: 8})
	require.Equal(t, `data: {"tenant_id":"t1","settings_revision":7}`, told.line())
	require.EqualValues(t, 8, feed.next().Revision)
}
