package bundle

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// stage has a Handler, and what stands for service tenant.
type stage struct {
	t       testing.TB
	handler *Handler
	mux     *http.ServeMux

	mu    sync.Mutex
	files map[string]string // by module/version/path
	lies  map[string]string // what is served in their place
	asked int
	parts int
	now   time.Time
}

func newStage(t testing.TB) *stage {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, natsserver.Init(dir))
	server, err := natsserver.Start(bounded(t), natsserver.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(bounded(t))) })
	user := func(name string) *nats.Conn {
		nc, err := natsconn.Connect(bounded(t), natsconn.Config{URL: server.URL(), User: name, SeedFile: natsserver.SeedFile(dir, name)})
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	telemetry, err := kit.NewTelemetry(context.Background(), kit.TelemetryConfig{Process: "test"})
	require.NoError(t, err)
	s := &stage{t: t, files: map[string]string{}, lies: map[string]string{}, now: time.Now(), mux: http.NewServeMux()}
	tenant, err := kit.NewServer(kit.ServerConfig{Service: "tenant", NATS: user(natsconn.Tenant), Telemetry: telemetry})
	require.NoError(t, err)
	require.NoError(t, kit.Handle(tenant, contract.GetAsset, s.getAsset))
	t.Cleanup(func() { require.NoError(t, tenant.Stop(bounded(t))) })
	s.handler = New(kit.NewClient(user(natsconn.HTTPBridge), telemetry), slog.New(slog.DiscardHandler))
	s.handler.now = func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.now
	}
	s.mux.Handle(Pattern, s.handler)
	return s
}

func (s *stage) getAsset(_ context.Context, r *contract.GetAssetRequest) (*contract.GetAssetResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.ModuleName + "/" + r.Version + "/" + r.Path
	content, ok := s.files[key]
	s.asked++
	if !ok {
		return nil, contract.Missing("file that may be served")
	}
	answer := &contract.GetAssetResponse{Data: []byte{}, File: contract.VersionFile{
		Path: r.Path, SHA384: integrity(content), Size: int64(len(content)), Type: "text/javascript; charset=utf-8",
	}}
	if lie, ok := s.lies[key]; ok {
		content = lie
	}
	if r.Offset < int64(len(content)) {
		s.parts++
		answer.Data = []byte(content[r.Offset:min(r.Offset+524_288, int64(len(content)))])
	}
	return answer, nil
}

func integrity(content string) string {
	sum := sha512.Sum384([]byte(content))
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

// set changes what may be served.
func (s *stage) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// pass lets time pass.
func (s *stage) pass(d time.Duration) { s.set(func() { s.now = s.now.Add(d) }) }

func (s *stage) counts() (asked, parts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.parts
}

func (s *stage) get(path string, header ...string) *httptest.ResponseRecorder {
	return s.do(http.MethodGet, path, header...)
}

func (s *stage) do(method, path string, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(bounded(s.t), method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	s.mux.ServeHTTP(recorder, request)
	return recorder
}

func TestAFileIsServedWithItsTypeDigestAndPolicy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	big := strings.Repeat("0123456789abcdef", 70_000) // three parts
	s.files["crm/1.0.0/assets/main.js"] = big
	got := s.get("/modules/crm/1.0.0/assets/main.js")
	require.Equal(t, http.StatusOK, got.Code)
	require.Equal(t, big, got.Body.String())
	for name, want := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "ETag": `"` + integrity(big) + `"`, "Cache-Control": "no-cache",
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": Policy, "Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy": "no-referrer",
	} {
		require.Equal(t, want, got.Header().Get(name), name)
	}
	asked, parts := s.counts()
	require.Equal(t, []int{3, 3}, []int{asked, parts})

	head := s.do(http.MethodHead, "/modules/crm/1.0.0/assets/main.js")
	require.Equal(t, []any{http.StatusOK, 0, got.Header().Get("ETag")}, []any{head.Code, head.Body.Len(), head.Header().Get("ETag")})
	again := s.get("/modules/crm/1.0.0/assets/main.js", "If-None-Match", got.Header().Get("ETag"))
	require.Equal(t, []int{http.StatusNotModified, 0}, []int{again.Code, again.Body.Len()})
	asked, _ = s.counts()
	require.Equal(t, 3, asked, "nobody is asked within the lease")

	s.pass(Lease)
	require.Equal(t, http.StatusOK, s.get("/modules/crm/1.0.0/assets/main.js").Code)
	asked, parts = s.counts()
	require.Equal(t, []int{4, 3}, []int{asked, parts}, "what is kept is not read again")

	s.set(func() { s.files["erp/2.0.0/x.js"] = big })
	require.Equal(t, big, s.get("/modules/erp/2.0.0/x.js").Body.String())
	_, parts = s.counts()
	require.Equal(t, 4, parts, "one content is kept once")
	require.Equal(t, http.StatusMethodNotAllowed, s.do(http.MethodPost, "/modules/crm/1.0.0/assets/main.js").Code)
}

func TestWhatMayNotBeServedAnyMoreIsGoneWithTheLease(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.files["crm/1.0.0/a.js"] = "1"
	tag := s.get("/modules/crm/1.0.0/a.js").Header().Get("ETag")
	s.set(func() { clear(s.files) })
	require.Equal(t, http.StatusOK, s.get("/modules/crm/1.0.0/a.js").Code)
	s.pass(Lease)
	for range 2 {
		got := s.get("/modules/crm/1.0.0/a.js", "If-None-Match", tag)
		require.Equal(t, http.StatusNotFound, got.Code, "whatever a browser has of it")
		require.Equal(t, contract.ProblemType, got.Header().Get("Content-Type"))
		require.Equal(t, "no-store", got.Header().Get("Cache-Control"))
	}
	s.set(func() { s.files["crm/1.0.0/a.js"] = "1" })
	require.Equal(t, http.StatusOK, s.get("/modules/crm/1.0.0/a.js").Code)
}

func TestOtherBytesThanTheDigestSaysAreNeverServed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.files["crm/1.0.0/a.js"], s.lies["crm/1.0.0/a.js"] = "good", "evil"
	s.files["crm/1.0.0/b.js"], s.lies["crm/1.0.0/b.js"] = "good b", "longer than it says"
	s.files["crm/1.0.0/c.js"], s.lies["crm/1.0.0/c.js"] = "good c", ""
	for _, path := range []string{"a.js", "b.js", "c.js"} {
		got := s.get("/modules/crm/1.0.0/" + path)
		require.Equal(t, http.StatusInternalServerError, got.Code)
		require.NotContains(t, got.Body.String(), "evil")
	}
	s.set(func() { clear(s.lies) })
	require.Equal(t, "good", s.get("/modules/crm/1.0.0/a.js").Body.String())
}

func TestPathsLeadNowhereElse(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.files["crm/1.0.0/a.js"], s.files["crm/1.0.0/empty.js"] = "1", ""
	require.Equal(t, http.StatusOK, s.get("/modules/crm/1.0.0/empty.js").Code)
	for _, path := range []string{
		"/modules/crm/1.0.0/", "/modules/crm/1.0.0", "/modules/crm/1.0.0/b.js", "/modules/crm/1.0.1/a.js", "/modules/CRM/1.0.0/a.js",
		"/modules/crm/1.0.0/..%2fa.js", "/modules/crm/1.0.0/%2e%2e/1.0.0/a.js", "/modules/crm/1.0.0/a.js%00", "/modules/crm/1.0.0/a.js/",
		"/modules/crm%2f1.0.0/a.js", "/modules/crm/1.0.0/" + strings.Repeat("x", 501), "/modules/crm/1.0.0/\xff",
		"/modules/crm/1.0.0/%2Fetc/passwd", "/modules/crm/1.0.0/../../../etc/passwd",
	} {
		got := s.get(path)
		require.NotEqual(t, http.StatusOK, got.Code, path)
		require.Less(t, got.Code, http.StatusInternalServerError, path)
	}
}

func TestManyWhoAskAtOnceAreOneQuestion(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.files["crm/1.0.0/a.js"] = strings.Repeat("x", 600_000)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if got := s.get("/modules/crm/1.0.0/a.js"); got.Code != http.StatusOK || got.Body.Len() != 600_000 {
				t.Errorf("got %d with %d bytes", got.Code, got.Body.Len())
			}
		})
	}
	all.Wait()
	asked, _ := s.counts()
	require.Less(t, asked, 50)
}

func TestContentsKeepWhatWasUsedLast(t *testing.T) {
	t.Parallel()
	c := newContents(10)
	for _, digest := range []string{"a", "b", "c"} {
		c.put(digest, []byte("xxx"))
	}
	_, ok := c.get("a")
	require.True(t, ok)
	c.put("d", []byte("xxxx"))
	for digest, kept := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		_, ok := c.get(digest)
		require.Equal(t, kept, ok, digest)
	}
	require.EqualValues(t, 10, c.size)
	c.put("e", make([]byte, 11))
	_, ok = c.get("e")
	require.False(t, ok)
	c.put("f", make([]byte, 10))
	require.Len(t, c.byDigest, 1)
	require.EqualValues(t, 10, c.size)
}
