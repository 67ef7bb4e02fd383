// Package local holds modules that decide in their own process to what the core
// decides, over both transports, in one process and apart.
package local

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// modes are the ways to run the core, transports those to it.
var (
	modes = map[string]func(testing.TB) *stack.Stack{
		"one process":        stack.OneProcess,
		"separate processes": stack.Processes,
	}
	transports = []string{"nats", "http"}
)

// module is one that decides locally, over a line of its own.
type module struct {
	*stack.Company
	client *sdk.Client
	line   *stack.Line
	read   string // a permission of its own
}

func newModule(t *testing.T, s *stack.Stack, transport string, options ...sdk.Option) *module {
	t.Helper()
	m := &module{Company: s.Company(t)}
	m.read = m.Module + ":accounts:read"
	m.PutRole(t, "other", m.Module+":others:read") // who holds it is known, whatever else is revoked
	config := sdk.Config{APIKey: m.APIKey}
	if transport == "nats" {
		m.line = stack.NewLine(t, s.NATSURL)
		config.NATSURL = m.line.URL
	} else {
		m.line = stack.NewLine(t, s.HTTPURL)
		config.APIURL = m.line.URL
	}
	client, err := sdk.New(stack.Context(t), config, append(options, sdk.WithLocalDecisions(sdk.LocalDecisions{}))...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	m.client = client
	require.NoError(t, client.AwaitLocal(stack.Context(t)))
	return m
}

// decide asks about the permission; it must be answered.
func (m *module) decide(t *testing.T, user stack.User, options ...sdk.About) sdk.Decision {
	t.Helper()
	d, err := m.client.Decide(t.Context(), user.ID, m.read, append(options, sdk.InTenant(m.Tenant.ID))...)
	require.NoError(t, err)
	return d
}

// soon wants a local answer that knows of a revision, within the bound; and any
// answer that is asked for at the revision at once.
func (m *module) soon(t *testing.T, user stack.User, revision int64, allowed bool, options ...sdk.About) {
	t.Helper()
	told := time.Now()
	require.Equal(t, allowed, m.decide(t, user, append(options, sdk.AtLeast(revision))...).Allowed)
	for {
		asked := time.Now()
		d := m.decide(t, user, options...)
		if d.Local && d.Revision >= revision {
			require.Equal(t, allowed, d.Allowed)
			return
		}
		require.Less(t, asked.Sub(told), stack.Timeout, "%+v", m.client.LocalState())
		if d.Local {
			require.Less(t, asked.Sub(told), sdk.DefaultMaxStaleness, "an older answer")
		}
	}
}

func TestTheModuleDecidesAsTheCoreDoes(t *testing.T) {
	t.Parallel()
	for mode, start := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for _, transport := range transports {
				t.Run(transport, func(t *testing.T) {
					t.Parallel()
					m := newModule(t, s, transport)
					for name, story := range map[string]func(*testing.T, *stack.Stack, *module){
						"granted and revoked":                testGrantedAndRevoked,
						"in a unit and on a resource":        testScopes,
						"a binding ends at its second":       testExpiry,
						"a suspended user":                   testSuspended,
						"others are nobody's business":       testOthers,
						"another module answers on its feed": testAnotherModulesAnswers,
						"the module is disabled and back":    testDisabled,
						"the line is cut":                    testCut,
					} {
						t.Run(name, func(t *testing.T) { story(t, s, m) })
					}
				})
			}
		})
	}
}

func testGrantedAndRevoked(t *testing.T, _ *stack.Stack, m *module) {
	d := m.decide(t, m.Nobody)
	require.False(t, d.Local || d.Allowed, "who has no bindings is the core's to decide about")
	user := m.AddUser(t, "other")
	for range 3 {
		m.soon(t, user, m.Bind(t, user.ID, "reader").Revision, true)
		m.soon(t, user, m.Unbind(t, user.ID, "reader"), false)
	}
	group := m.Group(t, "readers-"+user.ID[:8], user.ID)
	m.soon(t, user, m.BindGroup(t, group.ID, "reader").Revision, true)
	m.soon(t, user, m.Bind(t, user.ID, "reader", stack.Denied).Revision, false)
}

func testScopes(t *testing.T, _ *stack.Stack, m *module) {
	user := m.AddUser(t, "other")
	company := m.Unit(t, "company", "")
	branch := m.Unit(t, "branch", company)
	elsewhere := m.Unit(t, "company", "")
	bound := m.Bind(t, user.ID, "reader", stack.InUnit(company)).Revision
	require.Eventually(t, func() bool { // units become part of the policy by steps of their own
		return m.decide(t, user, sdk.InBranch(branch)).Allowed
	}, stack.Timeout, time.Millisecond)
	m.soon(t, user, bound, true, sdk.InCompany(company), sdk.InBranch(branch))
	m.soon(t, user, bound, false, sdk.InCompany(elsewhere))
	m.soon(t, user, bound, false)
	bound = m.Bind(t, user.ID, "reader", stack.OnResource("invoice", "7")).Revision
	m.soon(t, user, bound, true, sdk.OnResourceOf("invoice", "7"))
	m.soon(t, user, bound, false, sdk.OnResourceOf("invoice", "8"))
}

// The core runs on this machine, so its clock is ours.
func testExpiry(t *testing.T, _ *stack.Stack, m *module) {
	user := m.AddUser(t, "other")
	end := time.Now().Truncate(time.Second).Add(3 * time.Second)
	bound := m.Bind(t, user.ID, "reader", stack.Until(end)).Revision
	m.soon(t, user, bound, true)
	for locally := 0; locally < 10; {
		before := time.Now()
		d := m.decide(t, user)
		after := time.Now()
		switch {
		case !before.Before(end):
			require.False(t, d.Allowed)
			if d.Local {
				require.Equal(t, bound, d.Revision, "no write was needed")
				locally++
			}
		case after.Before(end.Add(-200 * time.Millisecond)): // its clock may be ahead by the time of a request
			require.True(t, d.Allowed)
		}
	}
}

func testSuspended(t *testing.T, s *stack.Stack, m *module) {
	user := m.AddUser(t, "reader")
	require.Eventually(t, func() bool { d := m.decide(t, user); return d.Local && d.Allowed }, stack.Timeout, time.Millisecond)
	stack.Do(t, s, contract.DisableUser, &contract.UserRequest{TenantID: contract.ID(m.Tenant.ID), UserID: contract.ID(user.ID)})
	require.Eventually(t, func() bool { d := m.decide(t, user); return d.Local && !d.Allowed }, stack.Timeout, time.Millisecond)
}

// A tenant without the module never appears in what the module holds, nor does
// anything of people but ids, nor another module.
func testOthers(t *testing.T, s *stack.Stack, m *module) {
	other := s.Company(t)
	m.EnableModule(t, other.Module, true)
	m.PutRole(t, "mixed", m.read, other.Module+":accounts:read", "users:read:tenant")
	user := m.AddUser(t, "mixed")
	m.soon(t, user, m.Bind(t, user.ID, "other").Revision, true)
	other.Bind(t, other.Nobody.ID, "reader")

	require.Equal(t, 1, m.client.LocalState().Tenants)
	d, err := m.client.Decide(t.Context(), other.Reader.ID, m.read, sdk.InTenant(other.Tenant.ID))
	require.ErrorIs(t, err, sdk.ErrNotFound)
	require.False(t, d.Allowed)
	for _, permission := range []string{other.Module + ":accounts:read", "users:read:tenant"} {
		d, err := m.client.Decide(t.Context(), user.ID, permission, sdk.InTenant(m.Tenant.ID))
		require.True(t, err != nil || !d.Local, "not of the module's own")
	}

	var all string
	for request := (&contract.PolicySnapshotRequest{}); ; {
		page, err := sdk.Call(stack.Context(t), m.client.Transport(), contract.PolicySnapshot, request)
		require.NoError(t, err)
		raw, err := json.Marshal(page)
		require.NoError(t, err)
		all += string(raw)
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			break
		}
	}
	require.Contains(t, all, user.ID)
	require.Contains(t, all, m.read)
	for what, secret := range map[string]string{
		"a tenant": other.Tenant.ID, "its people": other.Reader.ID, "a module": other.Module, "an e-mail address": "@",
		"another namespace": "users:", "a role's name": "mixed", "a group's": "readers-", "the tenant's": m.Tenant.Name,
	} {
		require.NotContains(t, all, secret, what)
	}
}

func testDisabled(t *testing.T, _ *stack.Stack, m *module) {
	for range 2 {
		m.EnableModule(t, m.Module, false)
		off := time.Now()
		require.Eventually(t, func() bool {
			asked := time.Now()
			d, err := m.client.Decide(t.Context(), m.Reader.ID, m.read, sdk.InTenant(m.Tenant.ID))
			if d.Local {
				require.Less(t, asked.Sub(off), sdk.DefaultMaxStaleness)
			}
			return err != nil && !d.Allowed && m.client.LocalState().Tenants == 0
		}, stack.Timeout, time.Millisecond)
		_, err := m.client.Decide(t.Context(), m.Reader.ID, m.read, sdk.InTenant(m.Tenant.ID))
		require.ErrorIs(t, err, sdk.ErrNotFound)
		require.True(t, m.client.LocalState().Fresh, "it is fresh, and holds nothing")

		m.EnableModule(t, m.Module, true)
		require.Eventually(t, func() bool {
			d, err := m.client.Decide(t.Context(), m.Reader.ID, m.read, sdk.InTenant(m.Tenant.ID))
			return err == nil && d.Local && d.Allowed
		}, stack.Timeout, time.Millisecond)
	}
}

// testCut cuts connections that may come back at once, and then for longer.
func testCut(t *testing.T, _ *stack.Stack, m *module) {
	user := m.AddUser(t, "other")
	m.soon(t, user, m.Bind(t, user.ID, "reader").Revision, true)
	for range 3 {
		m.line.Cut(false)
		require.Eventually(t, func() bool { d := m.decide(t, user); return !d.Local && d.Allowed }, stack.Timeout, time.Microsecond,
			"the core answers at once")
		require.Error(t, m.client.LocalState().Trouble)
		m.Unbind(t, user.ID, "reader") // while it hears nothing, perhaps
		require.NoError(t, m.client.AwaitLocal(stack.Context(t)))
		m.soon(t, user, m.Bind(t, user.ID, "reader").Revision, true)
	}
	m.line.Cut(true)
	require.Eventually(t, func() bool {
		d, err := m.client.Decide(t.Context(), user.ID, m.read, sdk.InTenant(m.Tenant.ID))
		if err != nil {
			require.ErrorIs(t, err, sdk.ErrUnavailable)
			require.False(t, d.Allowed, "it never opens")
		}
		return err != nil
	}, stack.Timeout, time.Millisecond)
	revoked := m.Unbind(t, user.ID, "reader")
	m.line.Cut(false)
	require.NoError(t, m.client.AwaitLocal(stack.Context(t)))
	m.soon(t, user, revoked, false)
}
