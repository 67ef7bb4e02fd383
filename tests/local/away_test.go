package local

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/tests/stack"
)

// away is how long it takes to notice that the core tells nothing: since is
// when it began. No local answer may be asked for later than the bound after.
func (m *module) away(t *testing.T, since time.Time, remote func(sdk.Decision, error)) {
	t.Helper()
	for {
		asked := time.Now()
		d, err := m.client.Decide(t.Context(), m.Reader.ID, m.read, sdk.InTenant(m.Tenant.ID))
		if d.Local {
			require.True(t, d.Allowed)
			require.LessOrEqual(t, asked.Sub(since), sdk.DefaultMaxStaleness)
			continue
		}
		remote(d, err)
		if asked.Sub(since) > sdk.DefaultMaxStaleness {
			return
		}
	}
}

// back waits until it decides locally again, and does so rightly.
func (m *module) back(t *testing.T) {
	t.Helper()
	require.NoError(t, m.client.AwaitLocal(stack.Context(t)), "%+v", m.client.LocalState())
	user := m.AddUser(t, "other")
	m.soon(t, user, m.Bind(t, user.ID, "reader").Revision, true)
	m.soon(t, user, m.Unbind(t, user.ID, "reader"), false)
}

// What the database holds cannot be told any more, so within the bound nothing
// is certain; the core itself answers by what it knows.
func TestWithoutTheDatabaseTheCoreIsAskedWithinTheBound(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	modules := map[string]*module{}
	for _, transport := range transports {
		modules[transport] = newModule(t, s, transport)
	}
	u, err := url.Parse(s.DatabaseURL)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	admin, err := pgx.Connect(stack.Context(t), u.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(stack.Context(t)) })
	allow := func(allowed string) {
		_, err := admin.Exec(stack.Context(t), "ALTER DATABASE "+pgx.Identifier{name}.Sanitize()+" ALLOW_CONNECTIONS "+allowed)
		require.NoError(t, err)
	}
	allow("false")
	t.Cleanup(func() { allow("true") })
	_, err = admin.Exec(stack.Context(t), "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name)
	require.NoError(t, err)
	since := time.Now()
	for _, m := range modules {
		m.away(t, since, func(d sdk.Decision, err error) {
			require.NoError(t, err)
			require.True(t, d.Allowed)
		})
	}
	allow("true")
	for _, m := range modules {
		m.back(t)
	}
}

func TestServicesThatRestartAreFollowedAgain(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	overNATS, overHTTP := newModule(t, s, "nats"), newModule(t, s, "http")

	s.Processes["httpbridge"].Stop()
	since := time.Now()
	require.True(t, overNATS.decide(t, overNATS.Reader).Local, "it needs no bridge")
	overHTTP.away(t, since, func(d sdk.Decision, err error) {
		require.ErrorIs(t, err, sdk.ErrUnavailable)
		require.False(t, d.Allowed)
	})
	s.Processes["httpbridge"].Start()
	overHTTP.line.MoveTo(t, s.Processes["httpbridge"].HTTPURL)
	overHTTP.back(t)

	s.Processes["rbac"].Kill()
	since = time.Now()
	for _, m := range []*module{overNATS, overHTTP} {
		m.away(t, since, func(d sdk.Decision, err error) {
			require.ErrorIs(t, err, sdk.ErrUnavailable)
			require.False(t, d.Allowed)
		})
	}
	s.Processes["rbac"].Start()
	for _, m := range []*module{overNATS, overHTTP} {
		m.back(t)
	}
}
