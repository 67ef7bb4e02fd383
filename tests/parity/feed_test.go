package parity

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

// heard is what a reader of a feed is told; it is closed when the feed ends.
type heard chan contract.PolicyFeedMessage

// next waits for a message that is wanted, over those that are not.
func (h heard) next(t *testing.T, what string, wanted func(contract.PolicyFeedMessage) bool) contract.PolicyFeedMessage {
	t.Helper()
	timeout := time.After(stack.Timeout)
	for {
		select {
		case m, open := <-h:
			require.True(t, open, "the feed ended before %s", what)
			if wanted(m) {
				return m
			}
		case <-timeout:
			require.FailNow(t, "not told", what)
		}
	}
}

// ends waits until the feed is over.
func (h heard) ends(t *testing.T, what string) {
	t.Helper()
	timeout := time.After(stack.Timeout)
	for {
		select {
		case _, open := <-h:
			if !open {
				return
			}
		case <-timeout:
			require.FailNow(t, "the feed goes on", what)
		}
	}
}

// feedOverHTTP reads the feed as server-sent events, until the test ends.
func feedOverHTTP(t *testing.T, s *stack.Stack, key string) heard {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	response, err := http.DefaultClient.Do(streamRequest(ctx, t, s, contract.PolicyFeed.Spec, key, ""))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	h := make(heard, 4096)
	go func() {
		defer close(h)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data:")
			var m contract.PolicyFeedMessage
			if ok && json.Unmarshal([]byte(data), &m) == nil {
				h <- m
			}
		}
	}()
	return h
}

func streamRequest(ctx context.Context, t *testing.T, s *stack.Stack, spec *contract.Spec, key, query string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, spec.Method, s.HTTPURL+spec.Path+query, nil)
	require.NoError(t, err)
	if key != "" {
		request.Header.Set(contract.HeaderAPIKey, key)
	}
	return request
}

// feedOverNATS reads the feed on the subjects that the snapshot names.
func feedOverNATS(t *testing.T, s *stack.Stack, key string) heard {
	t.Helper()
	h := make(heard, 4096)
	nc, err := s.ModuleBus(t, key, nats.ClosedHandler(func(*nats.Conn) { close(h) }))
	require.NoError(t, err)
	out, refused := stack.BusCaller{Conn: nc, KeyID: keyID(t, key)}.Call(t, contract.PolicySnapshot.Spec, "{}")
	require.Nil(t, refused)
	var snapshot contract.PolicySnapshotResponse
	require.NoError(t, json.Unmarshal(out, &snapshot))
	require.NotEmpty(t, snapshot.Feed)
	for _, subject := range snapshot.Feed {
		_, err := nc.Subscribe(subject, func(msg *nats.Msg) {
			var m contract.PolicyFeedMessage
			if msg.Header.Get(contract.HeaderFeed) != "" && json.Unmarshal(msg.Data, &m) == nil {
				h <- m
			}
		})
		require.NoError(t, err)
	}
	require.NoError(t, nc.FlushWithContext(stack.Context(t)))
	return h
}

// feeds opens a key's feed over both transports.
func feeds(t *testing.T, s *stack.Stack, key string) map[string]heard {
	t.Helper()
	return map[string]heard{"http": feedOverHTTP(t, s, key), "nats": feedOverNATS(t, s, key)}
}

func beat(m contract.PolicyFeedMessage) bool { return m.AsOf != nil }

// reaches wants a tenant's policy to be told at a revision.
func reaches(tenant string, revision int64) func(contract.PolicyFeedMessage) bool {
	return func(m contract.PolicyFeedMessage) bool { return m.TenantID == tenant && m.Revision >= revision }
}

// testFeed holds the feed of policies to what modules may know, over both
// transports.
func testFeed(t *testing.T, s *stack.Stack) {
	t.Parallel()
	for name, story := range map[string]func(*testing.T, *stack.Stack){
		"tells a module of its own tenants": testFeedTells,
		"tells of coming and going":         testFeedComesAndGoes,
		"of a key for one tenant":           testFeedOfARestrictedKey,
		"ends with its key":                 testFeedEndsWithItsKey,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, s)
		})
	}
}

func testFeedTells(t *testing.T, s *stack.Stack) {
	c, other := s.Company(t), s.Company(t)
	c.PutRole(t, "secret-name", c.Module+":accounts:read", "users:read:tenant", other.Module+":accounts:read")
	for transport, feed := range feeds(t, s, c.APIKey) {
		first := feed.next(t, "a beat", beat)
		require.Empty(t, first.TenantID)
		strangers := other.Bind(t, other.Nobody.ID, "reader").Revision
		require.NotZero(t, strangers)
		other.Unbind(t, other.Nobody.ID, "reader")
		bound := c.Bind(t, c.Nobody.ID, "secret-name")
		told := feed.next(t, "the binding over "+transport, func(m contract.PolicyFeedMessage) bool {
			require.NotEqual(t, other.Tenant.ID, m.TenantID, "another module's tenant")
			for _, change := range m.Changes {
				requireOwn(t, c.Module, change)
			}
			return reaches(c.Tenant.ID, bound.Revision)(m)
		})
		require.True(t, told.Step || told.Reset || len(told.Changes) == 0)
		later := feed.next(t, "a beat after it", func(m contract.PolicyFeedMessage) bool { return beat(m) && m.AsOf.After(*first.AsOf) })
		require.False(t, later.AsOf.After(time.Now()), "what has been is told, by this machine's clock")
		c.Unbind(t, c.Nobody.ID, "secret-name")
	}
}

// requireOwn holds that a change tells nothing that the module need not know.
func requireOwn(t *testing.T, module string, change contract.PolicyChange) {
	t.Helper()
	if change.Module != nil {
		require.Equal(t, module, change.Module.Name)
	}
	if change.Group != nil {
		require.Empty(t, change.Group.Name)
	}
	if change.Role == nil {
		return
	}
	require.Empty(t, change.Role.Name)
	for _, code := range change.Role.Permissions {
		namespace := contract.PermissionNamespace(code)
		require.True(t, namespace == module || namespace == "*", code)
	}
}

func testFeedComesAndGoes(t *testing.T, s *stack.Stack) {
	c := s.Company(t)
	all := feeds(t, s, c.APIKey)
	for transport, feed := range all {
		feed.next(t, "a beat over "+transport, beat)
	}
	c.EnableModule(t, c.Module, false)
	for transport, feed := range all {
		feed.next(t, "that the tenant is gone over "+transport, func(m contract.PolicyFeedMessage) bool { return m.Gone && m.TenantID == c.Tenant.ID })
	}
	c.EnableModule(t, c.Module, true)
	for transport, feed := range all {
		feed.next(t, "that the tenant is back over "+transport, func(m contract.PolicyFeedMessage) bool { return m.Reset && m.TenantID == c.Tenant.ID })
	}
	bound := c.Bind(t, c.Nobody.ID, "reader")
	for transport, feed := range all {
		feed.next(t, "a binding after that over "+transport, reaches(c.Tenant.ID, bound.Revision))
	}
}

func testFeedOfARestrictedKey(t *testing.T, s *stack.Stack) {
	c, other := s.Company(t), s.Company(t)
	other.EnableModule(t, c.Module, true)
	key := stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{
		Module: c.Module, Environment: "dev", Tenants: []string{c.Tenant.ID}, RateClass: "bulk",
	}).APIKey
	every, one := feeds(t, s, c.APIKey), feeds(t, s, key)
	for transport, feed := range one {
		feed.next(t, "a beat over "+transport, beat)
	}
	other.PutRole(t, "shared", c.Module+":accounts:read")
	theirs := other.Bind(t, other.Nobody.ID, "shared")
	for transport, feed := range every {
		feed.next(t, "the other tenant's over "+transport, reaches(other.Tenant.ID, theirs.Revision))
	}
	ours := c.Bind(t, c.Nobody.ID, "reader")
	for transport, feed := range one {
		feed.next(t, "its own tenant's over "+transport, func(m contract.PolicyFeedMessage) bool {
			require.NotEqual(t, other.Tenant.ID, m.TenantID, "another tenant's over "+transport)
			return reaches(c.Tenant.ID, ours.Revision)(m)
		})
	}
}

func testFeedEndsWithItsKey(t *testing.T, s *stack.Stack) {
	c := s.Company(t)
	all := feeds(t, s, c.APIKey)
	for transport, feed := range all {
		feed.next(t, "a beat over "+transport, beat)
	}
	stack.Do(t, s, contract.RevokeKey, &contract.KeyRequest{ID: c.KeyID})
	for transport, feed := range all {
		feed.ends(t, "of a revoked key over "+transport)
	}
}

// testStreamDenials holds that nobody reads a stream but whom a key grants it.
func testStreamDenials(t *testing.T, f *fixture, spec *contract.Spec) {
	refuse := func(t *testing.T, key, bearer, query string) *contract.Error {
		t.Helper()
		request := streamRequest(stack.Context(t), t, f.s, spec, key, query)
		if bearer != "" {
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		_, refused := stack.Answer(t, request)
		return refused
	}
	t.Run("no key over http", func(t *testing.T) {
		requireCode(t, contract.Unauthenticated, contract.HeaderAPIKey, refuse(t, "", "", ""))
	})
	t.Run("a person's token and no key over http", func(t *testing.T) {
		for _, token := range []string{f.tokens.master, f.tokens.platform} {
			requireCode(t, contract.Unauthenticated, contract.HeaderAPIKey, refuse(t, "", token, ""))
		}
	})
	for name, key := range f.badKeys { // over the bus they do not even connect
		t.Run(name+" over http", func(t *testing.T) {
			requireCode(t, contract.Unauthenticated, contract.HeaderAPIKey, refuse(t, key, "", ""))
		})
	}
	without := f.without(spec.Name)
	t.Run("a key without this stream over http", func(t *testing.T) {
		requireCode(t, contract.PermissionDenied, "", refuse(t, without.key, "", ""))
	})
	t.Run("an unknown parameter over http", func(t *testing.T) {
		requireCode(t, contract.InvalidArgument, "unheard_of", refuse(t, f.module.key, "", "?unheard_of=x"))
	})
	ours, theirs := f.ours, f.theirs
	on := func(module, tenant string) string { return contract.StreamSubject(spec, module, tenant) }
	shared := map[string]string{
		contract.PolicyFeed.Name: contract.FeedBeats, contract.ModuleNews.Name: contract.NewsOfAll, contract.GrantedEvents.Name: "x",
	}[spec.Name]
	for name, hostile := range map[string]struct {
		*module
		subjects []string
	}{
		"a key without this stream": {without, []string{on(ours.Module, "*"), on(ours.Module, shared), on(ours.Module, ours.Tenant.ID)}},
		"another module":            {f.stranger, []string{on(ours.Module, "*"), on(ours.Module, shared), on(ours.Module, ours.Tenant.ID)}},
		"a module that would hear all": {f.module, []string{
			on("*", "*"), on("*", ours.Tenant.ID), on(theirs.Module, "*"), "core.feed.>", "core.news.>", "core.>", ">",
		}},
		"a key for one tenant": {f.narrow[spec.Name], []string{on(ours.Module, "*"), on(ours.Module, theirs.Tenant.ID), on("*", ours.Tenant.ID)}},
	} {
		for _, subject := range hostile.subjects {
			t.Run(name+" on "+subject, func(t *testing.T) { hostile.requireNoSubscription(t, subject) })
		}
	}
	t.Run("no module tells", func(t *testing.T) {
		f.module.requireViolation(t, on(ours.Module, ours.Tenant.ID), "{}")
	})
	if spec == contract.GrantedEvents.Spec {
		for name, hostile := range map[string]*module{"a key without this stream": without, "another module": f.stranger} {
			t.Run(name+" reads the subscription", func(t *testing.T) {
				for _, call := range []string{"CONSUMER.MSG.NEXT", "CONSUMER.INFO"} {
					hostile.requireViolation(t, contract.BusAPI+"."+call+".GRANTED."+events.GrantedConsumer(ours.Module, nil), "{}")
				}
			})
		}
	}
}

// requireNoSubscription holds that the server refuses to subscribe to a
// subject.
func (m *module) requireNoSubscription(t *testing.T, subject string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	sub, err := m.bus.SubscribeSync(subject)
	require.NoError(t, err)
	defer func() { _ = sub.Unsubscribe() }() // the server has none
	select {
	case err := <-m.violations:
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
		require.ErrorContains(t, err, `"`+subject+`"`)
	case <-time.After(stack.Timeout):
		require.Fail(t, "the server did not refuse the subscription")
	}
}
