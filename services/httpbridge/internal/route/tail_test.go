package route

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/services/httpbridge/internal/tail"
)

const tailTenant = "aaaaaaaa-0000-7000-8000-000000000001"

// trailStage is a stage with a stand-in for service audit, which has one trail.
type trailStage struct {
	*stage
	audit  *nats.Conn
	server *kit.Server

	mu      sync.Mutex
	end     int64
	asked   int
	refused error // of whoever asks
	denied  bool  // the permission
}

func newTrailStage(t testing.TB) *trailStage {
	t.Helper()
	s := &trailStage{stage: newStage(t)}
	s.router.Tails.Poll = 20 * time.Millisecond
	s.audit = s.user(natsconn.Audit)
	s.serve()
	return s
}

// serve begins to answer; the function it has server.Stop end that.
func (s *trailStage) serve() {
	s.t.Helper()
	telemetry, err := kit.NewTelemetry(context.Background(), kit.TelemetryConfig{Process: "test"})
	require.NoError(s.t, err)
	s.server, err = kit.NewServer(kit.ServerConfig{Service: "audit", NATS: s.audit, Telemetry: telemetry, Users: s, Permissions: s})
	require.NoError(s.t, err)
	require.NoError(s.t, kit.Handle(s.server, contract.FollowAudit, s.follow))
	server := s.server
	s.t.Cleanup(func() { require.NoError(s.t, server.Stop(context.Background())) })
}

func (s *trailStage) VerifyUser(_ context.Context, token string) (kit.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, _ := claims(token)
	return kit.User{ID: user, TenantID: tailTenant}, s.refused
}

func (s *trailStage) Allowed(context.Context, kit.User, string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.denied, nil
}

// follow has an event of action "odd" or "even" at each place.
func (s *trailStage) follow(_ context.Context, r *contract.FollowAuditRequest) (*contract.FollowAuditResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	response := &contract.FollowAuditResponse{TenantID: tailTenant, Items: []contract.AuditEvent{}, Through: s.end}
	if r.After == nil {
		return response, nil
	}
	for seq := *r.After + 1; seq <= s.end; seq++ {
		if action := []string{"even", "odd"}[seq%2]; r.Action == "" || r.Action == action {
			response.Items = append(response.Items, contract.AuditEvent{TenantID: tailTenant, Sequence: seq, Action: action})
		}
		if len(response.Items) == r.Limit {
			response.Through, response.More = seq, seq < s.end
			break
		}
	}
	return response, nil
}

// grow adds to the trail, and announces it.
func (s *trailStage) grow(n int64, announced bool) {
	s.t.Helper()
	s.mu.Lock()
	s.end += n
	end := s.end
	s.mu.Unlock()
	if announced {
		require.NoError(s.t, s.audit.Publish(contract.TrailSubject(tailTenant), strconv.AppendInt(nil, end, 10)))
		require.NoError(s.t, s.audit.Flush())
	}
}

func (s *trailStage) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// token is one as far as the bridge looks at it.
func token(user string, lives time.Duration) string {
	part := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":%q,"exp":%d}`, user, time.Now().Add(lives).Unix()))
	return "e30." + part + ".sig"
}

func (s *trailStage) ask(method, token, query, last string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.stage.server.URL+contract.TailAudit.Path+query, nil)
	require.NoError(s.t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	response, err := s.stage.server.Client().Do(r)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func (s *trailStage) tail(token, query, last string) *reader {
	s.t.Helper()
	response := s.ask(http.MethodGet, token, query, last)
	require.Equal(s.t, http.StatusOK, response.StatusCode)
	require.Equal(s.t, "text/event-stream", response.Header.Get("Content-Type"))
	r := &reader{s.t, response.Body, bufio.NewReader(response.Body)}
	require.Equal(s.t, ": open", r.line())
	require.Empty(s.t, r.line())
	return r
}

// sequence is that of the next event.
func (r *reader) sequence() int64 {
	r.t.Helper()
	id, data := r.line(), r.line()
	require.Empty(r.t, r.line())
	var event contract.AuditEvent
	require.NoError(r.t, json.Unmarshal([]byte(data[len("data: "):]), &event))
	require.Equal(r.t, fmt.Sprintf("id: %d", event.Sequence), id)
	return event.Sequence
}

func (r *reader) upTo(first, last int64) {
	r.t.Helper()
	for seq := first; seq <= last; seq++ {
		require.Equal(r.t, seq, r.sequence())
	}
}

func TestATailTellsWhatIsAddedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	s := newTrailStage(t)
	s.router.Tails.Poll = patience // nothing but announcements
	s.grow(5, false)
	r := s.tail(token("u", time.Hour), "", "")
	s.grow(1, true)
	r.upTo(6, 6)
	s.grow(250, true)
	r.upTo(7, 256)
	require.NoError(t, r.body.Close())
	s.grow(10, true)
	s.tail(token("u", time.Hour), "", "250").upTo(251, 266)
	s.tail(token("u", time.Hour), "?after=264", "").upTo(265, 266)
	s.tail(token("u", time.Hour), "?after=1", "265").upTo(266, 266)
}

func TestATailFindsWhatWasNotAnnounced(t *testing.T) {
	t.Parallel()
	s := newTrailStage(t)
	r := s.tail(token("u", time.Hour), "?action=even", "0")
	s.grow(4, false)
	require.EqualValues(t, 2, r.sequence())
	require.EqualValues(t, 4, r.sequence())
	s.grow(2, false)
	require.EqualValues(t, 6, r.sequence())
}

func TestATailEndsWithWhatItStandsOn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*trailStage){
		"the token is revoked":         func(s *trailStage) { s.refused = &contract.Error{Code: contract.Unauthenticated} },
		"the permission is withdrawn":  func(s *trailStage) { s.denied = true },
		"the tenant is not there more": func(s *trailStage) { s.refused = contract.Missing("tenant") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTrailStage(t)
			r := s.tail(token("u", time.Hour), "", "")
			s.set(func() { end(s) })
			require.Empty(t, r.ended())
			s.closed("token")
		})
	}
	t.Run("the token expires", func(t *testing.T) {
		t.Parallel()
		s := newTrailStage(t)
		s.router.Tails.Poll = patience
		r := s.tail(token("u", 2*time.Second), "", "")
		require.Empty(t, r.ended())
		s.closed("token")
	})
	t.Run("the bridge stops", func(t *testing.T) {
		t.Parallel()
		s := newTrailStage(t)
		r := s.tail(token("u", time.Hour), "", "")
		s.router.Tails.Stop()
		require.Empty(t, r.ended())
		s.closed("stopping")
		require.Equal(t, http.StatusServiceUnavailable, s.ask(http.MethodGet, token("u", time.Hour), "", "").StatusCode)
	})
}

// closed waits until no tail is left, and one ended for that reason.
func (s *trailStage) closed(reason string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.router.Tails.Tails() == 0 && s.metric(reason) == 1 }, patience, time.Millisecond, reason)
}

func TestATailOutlivesAServiceThatIsAway(t *testing.T) {
	t.Parallel()
	s := newTrailStage(t)
	r := s.tail(token("u", time.Hour), "", "")
	require.NoError(t, s.server.Stop(t.Context()))
	s.grow(3, true)
	s.serve()
	r.upTo(1, 3)
}

func TestWhoMayNotFollowIsToldSo(t *testing.T) {
	t.Parallel()
	s := newTrailStage(t)
	good := token("u", time.Hour)
	for name, c := range map[string]struct {
		token, query, last string
		status             int
	}{
		"nobody":               {"", "", "", http.StatusUnauthorized},
		"an unknown parameter": {good, "?x=1", "", http.StatusBadRequest},
		"a bad outcome":        {good, "?outcome=x", "", http.StatusBadRequest},
		"a bad place":          {good, "?after=x", "", http.StatusBadRequest},
		"a bad last id":        {good, "", "x", http.StatusBadRequest},
	} {
		require.Equal(t, c.status, s.ask(http.MethodGet, c.token, c.query, c.last).StatusCode, name)
	}
	require.Equal(t, http.StatusOK, s.ask(http.MethodHead, good, "", "").StatusCode)
	require.Eventually(t, func() bool { return s.router.Tails.Tails() == 0 }, patience, time.Millisecond)
	s.set(func() { s.denied = true })
	require.Equal(t, http.StatusForbidden, s.ask(http.MethodGet, good, "", "").StatusCode)
}

func TestOnePersonHasOnlySoManyTails(t *testing.T) {
	t.Parallel()
	s := newTrailStage(t)
	for range tail.MaxOfUser {
		s.tail(token("u", time.Hour), "", "")
	}
	refused := s.ask(http.MethodGet, token("u", time.Hour), "", "")
	require.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	s.tail(token("v", time.Hour), "", "")
}
