// Package tail follows audit trails over HTTP, and breaks what carries them.
package tail

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// reader follows a trail as a browser does: it connects again, with the id of the
// last event that it was given, whatever ends a connection.
type reader struct {
	t     *testing.T
	url   func() string
	token string
	query string

	mu       sync.Mutex
	last     string
	got      []int64
	accesses int
	status   int // of the last connection
}

// follow reads until ctx ends.
func (r *reader) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if response := r.connect(ctx); response != nil {
			r.read(response)
			_ = response.Body.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond): // as EventSource waits
		}
	}
}

func (r *reader) connect(ctx context.Context) *http.Response {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url()+contract.TailAudit.Path+r.query, nil)
	if err != nil {
		return nil
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	r.mu.Lock()
	if r.last != "" {
		request.Header.Set("Last-Event-ID", r.last)
	}
	r.mu.Unlock()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil // the bridge is away
	}
	r.mu.Lock()
	r.status = response.StatusCode
	if response.StatusCode == http.StatusOK {
		r.accesses++
	}
	r.mu.Unlock()
	return response
}

func (r *reader) read(response *http.Response) {
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 4<<20)
	id := ""
	for lines.Scan() {
		line := lines.Text()
		if said, ok := strings.CutPrefix(line, "id: "); ok {
			id = said
		}
		r.mu.Lock()
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var event contract.AuditEvent
			if json.Unmarshal([]byte(data), &event) == nil && fmt.Sprint(event.Sequence) == id {
				r.got = append(r.got, event.Sequence)
			}
		}
		if line == "" && id != "" {
			r.last = id
		}
		r.mu.Unlock()
	}
}

func (r *reader) seen() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int64{}, r.got...)
}

func log(t *testing.T, s *stack.Stack, c *stack.Company, action string, more string) {
	t.Helper()
	require.Eventually(t, func() bool { // services are being killed
		ctx, cancel := context.WithTimeout(stack.Context(t), 5*time.Second)
		defer cancel()
		_, err := kit.Call(ctx, s.Core, contract.LogAudit, &contract.LogAuditRequest{
			UserID: contract.ID(c.Nobody.ID), Action: action, ResourceType: "x", Details: json.RawMessage(`"` + more + `"`),
		})
		return err == nil
	}, 2*stack.Timeout, 10*time.Millisecond)
}

// trail is what the trail has of an action, in order.
func trail(t *testing.T, s *stack.Stack, c *stack.Company, action string) (all []int64) {
	t.Helper()
	after := int64(0)
	for {
		part, err := kit.Call(stack.Context(t), s.Core, contract.FollowAudit, &contract.FollowAuditRequest{
			TenantID: contract.ID(c.Tenant.ID), Action: action, After: &after, Limit: 500,
		})
		require.NoError(t, err)
		for _, e := range part.Items {
			all = append(all, e.Sequence)
		}
		if after = part.Through; !part.More {
			return all
		}
	}
}

// Whoever follows a trail is told each event once, in order, whatever is killed.
func TestATailHasNeitherGapNorDuplicateWhateverIsKilled(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	var mu sync.Mutex
	url := s.HTTPURL
	r := &reader{t: t, token: c.Token(t, c.Admin), query: "?after=0&action=tail.*", url: func() string {
		mu.Lock()
		defer mu.Unlock()
		return url
	}}
	ctx, stop := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	reading.Go(func() { r.follow(ctx) })
	t.Cleanup(func() { stop(); reading.Wait() })

	const each = 25
	for round, service := range []string{"", "httpbridge", "audit", "httpbridge", "audit", "audit"} {
		var writing sync.WaitGroup
		writing.Go(func() {
			for range each {
				log(t, s, c, fmt.Sprintf("tail.round%d", round), "")
			}
		})
		if service != "" {
			p := s.Processes[service]
			p.Kill()
			p.Start()
			mu.Lock()
			url = s.Processes["httpbridge"].HTTPURL
			mu.Unlock()
		}
		writing.Wait()
	}
	log(t, s, c, "tail.end", "")
	var want []int64
	require.Eventually(t, func() bool {
		want = trail(t, s, c, "tail.*")
		got := r.seen()
		return len(want) > 6*each && len(got) > 0 && got[len(got)-1] == want[len(want)-1]
	}, 2*stack.Timeout, 20*time.Millisecond)
	require.Equal(t, want, r.seen())
	t.Logf("%d events, %d connections, no gap and no duplicate", len(want), r.accesses)
}

// A tail ends within seconds of what it stands on.
func TestATailEndsWithItsTokenAndItsPermission(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	open := func(token string) (ended chan struct{}) {
		r := &reader{t: t, token: token, url: func() string { return s.HTTPURL }}
		response := r.connect(stack.Context(t))
		require.NotNil(t, response)
		require.Equal(t, http.StatusOK, response.StatusCode)
		ended = make(chan struct{})
		go func() {
			defer close(ended)
			defer response.Body.Close()
			r.read(response)
		}()
		return ended
	}
	ends := func(ended chan struct{}, what string) {
		t.Helper()
		select {
		case <-ended:
		case <-time.After(stack.Timeout):
			require.Fail(t, "the tail goes on", what)
		}
	}
	still := func(ended chan struct{}) {
		t.Helper()
		select {
		case <-ended:
			require.Fail(t, "the tail ended too soon")
		default:
		}
	}
	c.PutRole(t, "follower", "audit:events:read")
	watcher, other := c.AddUser(t, "follower"), c.AddUser(t, "follower")
	require.Eventually(t, func() bool {
		r := &reader{t: t, token: c.Token(t, watcher), url: func() string { return s.HTTPURL }}
		response := r.connect(stack.Context(t))
		_ = response.Body.Close()
		return r.status == http.StatusOK
	}, stack.Timeout, 50*time.Millisecond)
	kept := open(c.Token(t, other))

	token := c.Token(t, watcher)
	revoked := open(token)
	_, refused := stack.HTTPCaller{URL: s.HTTPURL, Bearer: token}.Call(t, contract.Logout.Spec, "{}")
	require.Nil(t, refused)
	ends(revoked, "of a session that was logged out")

	expired := open(s.ShortLivedToken(t, c.Admin, 5*time.Second))
	ends(expired, "of a token that expired")

	withdrawn := open(c.Token(t, watcher))
	c.Unbind(t, watcher.ID, "follower")
	ends(withdrawn, "of a permission that was withdrawn")
	still(kept)
}

// Who takes nothing is cut, and misses nothing when it comes again.
func TestASlowReaderIsCutAndGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	token := c.Token(t, c.Admin)
	// A reader that never reads, with little room in between.
	conn, err := (&net.Dialer{}).DialContext(stack.Context(t), "tcp", strings.TrimPrefix(s.HTTPURL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4<<10)) //nolint:errcheck // it is
	_, err = fmt.Fprintf(conn, "GET %s?after=0&action=slow.* HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", contract.TailAudit.Path, token)
	require.NoError(t, err)
	long := strings.Repeat("x", 60<<10)
	for range 150 { // 9 MB
		log(t, s, c, "slow.event", long)
	}
	cut := func() bool {
		response, err := http.Get(s.Processes["httpbridge"].OpsURL + "/metrics")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), `buildify_http_streams_ended_total{operation="audit.tail",reason="write"} 1`) {
				return true
			}
		}
		return false
	}
	require.Eventually(t, cut, 2*stack.Timeout, 100*time.Millisecond)
	r := &reader{t: t, token: token, query: "?after=0&action=slow.*", url: func() string { return s.HTTPURL }}
	ctx, stop := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	reading.Go(func() { r.follow(ctx) })
	t.Cleanup(func() { stop(); reading.Wait() })
	want := trail(t, s, c, "slow.*")
	require.Len(t, want, 150)
	require.Eventually(t, func() bool { return len(r.seen()) == 150 }, stack.Timeout, 20*time.Millisecond)
	require.Equal(t, want, r.seen())
}

func TestTheCommandLineFollowsATrail(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	binary := stack.Build(t, "github.com/buildify/core/cmd/buildify")
	command := func(ctx context.Context, args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, binary, append(append([]string{"audit"}, args...), "--nats-url", s.NATSURL, "--credentials", s.Credentials)...)
	}
	log(t, s, c, "cli.first", "")
	require.Eventually(t, func() bool { return len(trail(t, s, c, "cli.*")) == 1 }, stack.Timeout, 20*time.Millisecond)
	out, err := command(stack.Context(t), "tail", "--tenant", c.Tenant.Code, "--action", "cli.*").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "cli.first  success  "+c.Nobody.ID)

	ctx, stop := context.WithCancel(stack.Context(t))
	defer stop()
	following := command(ctx, "tail", "--tenant", c.Tenant.ID, "--action", "cli.*", "--follow", "--json")
	pipe, err := following.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, following.Start())
	lines := bufio.NewScanner(pipe)
	next := func() contract.AuditEvent {
		t.Helper()
		require.True(t, lines.Scan())
		var e contract.AuditEvent
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		return e
	}
	require.Equal(t, "cli.first", next().Action)
	log(t, s, c, "cli.second", "")
	require.Equal(t, "cli.second", next().Action)
	stop()
	_ = following.Wait() // killed

	for _, args := range [][]string{
		{"retention", "set", c.Tenant.Code, "--keep-days", "400", "--reason", "the law"},
		{"hold", "place", c.Tenant.Code, "--reason", "a matter"},
		{"alert", "create", c.Tenant.Code, "--name", "logins", "--action", "auth.login.*", "--outcome", "failure", "--count", "5", "--per", "address"},
	} {
		out, err := command(stack.Context(t), args...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	for want, args := range map[string][]string{
		"400 days":                       {"retention", "show", c.Tenant.Code},
		"would be removed":               {"retention", "apply", "--dry-run"},
		"a matter":                       {"hold", "list", "--tenant", c.Tenant.Code},
		"auth.login.* failure: 5 in 300": {"alert", "list", c.Tenant.Code},
		"raised 0 times":                 {"alert", "test", c.Tenant.Code, "--action", "nothing"},
	} {
		out, err := command(stack.Context(t), args...).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), want)
	}
}

// An alert is told once, in the tenant's own trail, though the service that holds
// the trail against it is killed all the while.
func TestAnAlertIsRaisedOnceWhateverIsKilled(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	c.PutRole(t, "watcher", "audit:alerts:manage", "audit:alerts:read")
	watcher := c.AddUser(t, "watcher")
	caller := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, watcher)}
	var alert contract.AuditAlert
	require.Eventually(t, func() bool { // the permission is on its way
		out, refused := caller.Call(t, contract.CreateAlert.Spec, `{"name":"alarm","rule":{"actions":["alarm.*"],"count":30,"per":"actor","cool_down_seconds":3600}}`)
		return refused == nil && json.Unmarshal(out, &alert) == nil
	}, stack.Timeout, 50*time.Millisecond)
	for range 3 {
		var writing sync.WaitGroup
		writing.Go(func() {
			for range 20 {
				log(t, s, c, "alarm.rang", "")
			}
		})
		s.Processes["audit"].Kill()
		s.Processes["audit"].Start()
		writing.Wait()
	}
	log(t, s, c, "alarm.end", "")
	raised := func() []int64 { return trail(t, s, c, "audit.alert.raised") }
	require.Eventually(t, func() bool {
		return len(trail(t, s, c, "alarm.*")) >= 61 && len(raised()) > 0
	}, 2*stack.Timeout, 50*time.Millisecond)
	s.Processes["audit"].Stop() // it goes to the end of the trail when it starts again
	s.Processes["audit"].Start()
	require.Eventually(t, func() bool {
		_, refused := caller.Call(t, contract.TestAlert.Spec, `{"rule":{"actions":["alarm.*"],"count":30,"per":"actor","cool_down_seconds":3600}}`)
		return refused == nil
	}, stack.Timeout, 50*time.Millisecond)
	require.Len(t, raised(), 1)
	out, refused := caller.Call(t, contract.TestAlert.Spec, `{"rule":{"actions":["alarm.*"],"count":30,"per":"actor","cool_down_seconds":3600}}`)
	require.Nil(t, refused)
	var tried contract.TestAlertResponse
	require.NoError(t, json.Unmarshal(out, &tried))
	require.Equal(t, 1, tried.Raised, "the dry run says the same of the past")
	require.GreaterOrEqual(t, tried.Matched, 61)
}
