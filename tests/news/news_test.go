// Package news holds that modules learn of changed settings and of life cycle
// hooks without asking, over both transports, in one process and apart.
package news

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// settings are those of every module here.
type settings struct {
	Limit  int    `json:"limit"`
	Color  string `json:"color"`
	Region string `json:"region"`
	Token  string `json:"token"`
}

func manifest() map[string]any {
	return map[string]any{
		"hooks": []map[string]any{{"event": "installed"}, {"event": "disabled"}, {"event": "uninstalled"}},
		"settings": map[string]any{"type": "object", "properties": map[string]any{
			"limit":  map[string]any{"type": "integer", "default": 1},
			"color":  map[string]any{"type": "string", "x-scope": "user"},
			"region": map[string]any{"type": "string", "x-scope": "platform"},
			"token":  map[string]any{"type": "string", "x-secret": true},
		}},
	}
}

// module is one that its company has installed, over a line of its own.
type module struct {
	*stack.Company
	s      *stack.Stack
	client *sdk.Client
	line   *stack.Line
}

// publish makes a company whose module is published.
func publish(t *testing.T, s *stack.Stack) *stack.Company {
	t.Helper()
	c := s.Company(t)
	c.Publish(t, c.Module, "1.0.0", manifest())
	return c
}

// connect returns a client of a company's module.
func connect(t *testing.T, s *stack.Stack, c *stack.Company, transport, key string) *module {
	t.Helper()
	m := &module{Company: c, s: s}
	config := sdk.Config{APIKey: key}
	if transport == "nats" {
		m.line = stack.NewLine(t, s.NATSURL)
		config.NATSURL = m.line.URL
	} else {
		m.line = stack.NewLine(t, s.HTTPURL)
		config.APIURL = m.line.URL
	}
	client, err := sdk.New(stack.Context(t), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	m.client = client
	return m
}

// set changes settings of a module: of a tenant, or with the layer platform of
// all.
func set(t *testing.T, s *stack.Stack, tenant, module, layer string, values map[string]any) {
	t.Helper()
	raw, err := json.Marshal(values)
	require.NoError(t, err)
	stack.Do(t, s, contract.UpdateSettings, &contract.UpdateSettingsRequest{
		TenantID: contract.ID(tenant), Namespace: module, Layer: layer, Values: raw,
	})
}

func (m *module) set(t *testing.T, layer string, values map[string]any) {
	t.Helper()
	set(t, m.s, m.Tenant.ID, m.Module, layer, values)
}

// watch watches a tenant's settings until the test ends.
func (m *module) watch(t *testing.T, tenant string) <-chan settings {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	seen, ended := make(chan settings, 1000), make(chan error, 1)
	go func() {
		ended <- m.client.WatchSettings(ctx, tenant, func(s *sdk.Settings) {
			var now settings
			if err := s.Decode(&now); err != nil {
				t.Error(err)
			}
			seen <- now
		})
	}()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return seen
}

// hooks handles hooks until the test ends; outcome says how.
func (m *module) hooks(t *testing.T, outcome func(sdk.Hook) error) <-chan sdk.Hook {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	handled, ended := make(chan sdk.Hook, 1000), make(chan error, 1)
	go func() {
		ended <- m.client.HandleHooks(ctx, func(_ context.Context, h sdk.Hook) error {
			handled <- h
			return outcome(h)
		})
	}()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return handled
}

// until reads what is seen until it is what is wanted.
func until(t *testing.T, seen <-chan settings, wanted settings) {
	t.Helper()
	timeout := time.After(stack.Timeout)
	for {
		select {
		case now := <-seen:
			if now == wanted {
				return
			}
		case <-timeout:
			require.FailNow(t, "not seen", "%+v", wanted)
		}
	}
}

func next(t *testing.T, handled <-chan sdk.Hook) sdk.Hook {
	t.Helper()
	select {
	case h := <-handled:
		return h
	case <-time.After(stack.Timeout):
		require.FailNow(t, "no hook came")
		return sdk.Hook{}
	}
}

func succeed(sdk.Hook) error { return nil }

func TestModulesLearnWithoutAsking(t *testing.T) {
	t.Parallel()
	for mode, start := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for _, transport := range transports {
				for name, story := range map[string]func(*testing.T, *stack.Stack, string){
					"of settings and hooks":    testSettingsAndHooks,
					"of a hook that failed":    testFailedHook,
					"of nobody else's affairs": testOthers,
					"though the line was cut":  testCutLine,
				} {
					t.Run(name+" over "+transport, func(t *testing.T) {
						t.Parallel()
						story(t, s, transport)
					})
				}
			}
		})
	}
}

func testSettingsAndHooks(t *testing.T, s *stack.Stack, transport string) {
	c := publish(t, s)
	m := connect(t, s, c, transport, c.APIKey)
	handled := m.hooks(t, succeed)
	seen := m.watch(t, c.Tenant.ID) // before the module is installed
	c.Install(t, c.Module, "")
	until(t, seen, settings{Limit: 1})
	require.Equal(t, []string{"installed", c.Tenant.ID, "1.0.0"}, facts(next(t, handled)))

	m.set(t, "tenant", map[string]any{"limit": 2})
	until(t, seen, settings{Limit: 2})
	m.set(t, "tenant", map[string]any{"token": "s3cret"})
	until(t, seen, settings{Limit: 2, Token: "s3cret"})
	m.set(t, "platform", map[string]any{"region": "eu", "limit": 9})
	until(t, seen, settings{Limit: 2, Region: "eu", Token: "s3cret"})
	for limit := range 20 {
		m.set(t, "tenant", map[string]any{"limit": 100 + limit})
	}
	until(t, seen, settings{Limit: 119, Region: "eu", Token: "s3cret"})

	mine, err := m.client.UserSettings(stack.Context(t), c.Tenant.ID, c.Reader.ID)
	require.NoError(t, err)
	var read settings
	require.NoError(t, mine.Decode(&read))
	require.Equal(t, settings{Limit: 119, Region: "eu", Token: "s3cret"}, read)
	one, err := m.client.Settings(stack.Context(t), c.Tenant.ID)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", one), "s3cret")

	upgrade := manifest()
	upgrade["settings"] = map[string]any{"type": "object", "properties": map[string]any{
		"limit": map[string]any{"type": "integer"}, "color": map[string]any{"type": "string", "default": "blue"},
	}}
	c.Publish(t, c.Module, "2.0.0", upgrade)
	stack.Do(t, s, contract.ChangeModuleVersion, &contract.ChangeModuleVersionRequest{
		TenantID: contract.ID(c.Tenant.ID), ModuleName: c.Module, Version: "2.0.0",
	})
	until(t, seen, settings{Limit: 119, Color: "blue"})

	stack.Do(t, s, contract.DisableModule, &contract.ChangeModule{TenantID: contract.ID(c.Tenant.ID), ModuleName: c.Module})
	require.Equal(t, "disabled", next(t, handled).Event)
	stack.Do(t, s, contract.UninstallModule, &contract.UninstallModuleRequest{
		TenantID: contract.ID(c.Tenant.ID), ModuleName: c.Module, EraseData: true,
	})
	gone := next(t, handled)
	require.Equal(t, []any{"uninstalled", true}, []any{gone.Event, gone.EraseData})
	m.acknowledged(t)
	require.Empty(t, handled, "each was told once")
}

func facts(h sdk.Hook) []string { return []string{h.Event, h.TenantID, h.Version} }

// acknowledged waits until the core has no hook left.
func (m *module) acknowledged(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		list, err := sdk.Call(stack.Context(t), m.client.Transport(), contract.ListHooks, nil)
		return err == nil && len(list.Items) == 0
	}, stack.Timeout, 10*time.Millisecond)
}

func testFailedHook(t *testing.T, s *stack.Stack, transport string) {
	c := publish(t, s)
	m := connect(t, s, c, transport, c.APIKey)
	handled := m.hooks(t, func(h sdk.Hook) error {
		if h.Attempt < 2 {
			return errors.New("not yet")
		}
		return nil
	})
	c.Install(t, c.Module, "")
	first := next(t, handled)
	for again := first; again.Attempt < 2; again = next(t, handled) {
		require.Equal(t, first.ID, again.ID)
	}
	m.acknowledged(t)
}

func testOthers(t *testing.T, s *stack.Stack, transport string) {
	ours, theirs := publish(t, s), publish(t, s)
	ours.Install(t, ours.Module, "")
	theirs.Install(t, theirs.Module, "")
	theirs.Install(t, ours.Module, "") // the same module in both tenants
	key := stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{
		Module: ours.Module, Environment: "dev", Tenants: []string{ours.Tenant.ID}, RateClass: "bulk",
	}).APIKey
	heard := follow(t, connect(t, s, ours, transport, key), ours, key)

	set(t, s, theirs.Tenant.ID, theirs.Module, "tenant", map[string]any{"limit": 5})   // another module
	set(t, s, theirs.Tenant.ID, ours.Module, "tenant", map[string]any{"limit": 6})     // in another tenant
	set(t, s, theirs.Tenant.ID, theirs.Module, "platform", map[string]any{"limit": 7}) // everywhere
	set(t, s, ours.Tenant.ID, contract.PlatformSettings, "tenant", map[string]any{"currency": "CHF"})
	stack.Do(t, s, contract.DisableModule, &contract.ChangeModule{TenantID: contract.ID(theirs.Tenant.ID), ModuleName: ours.Module})
	token := map[string]any{"token": "s3cret", "limit": 8}
	set(t, s, ours.Tenant.ID, ours.Module, "tenant", token)
	told := heard.next(t)
	require.Equal(t, []any{ours.Tenant.ID, []string{"limit", "token"}}, []any{told.TenantID, told.Keys}, "nothing before it")
	require.NotContains(t, heard.raw(), "s3cret")
	set(t, s, theirs.Tenant.ID, ours.Module, "platform", map[string]any{"limit": 9})
	told = heard.next(t)
	require.Equal(t, []any{"", []string{"limit"}}, []any{told.TenantID, told.Keys})
	stack.Do(t, s, contract.DisableModule, &contract.ChangeModule{TenantID: contract.ID(ours.Tenant.ID), ModuleName: ours.Module})
	for told = heard.next(t); told.Hook == nil; told = heard.next(t) {
		require.Equal(t, ours.Tenant.ID, told.TenantID)
	}
	require.Equal(t, []string{"disabled", ours.Tenant.ID, "1.0.0"}, facts(*told.Hook))
}
