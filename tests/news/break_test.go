package news

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

func testCutLine(t *testing.T, s *stack.Stack, transport string) {
	c := publish(t, s)
	m := connect(t, s, c, transport, c.APIKey)
	seen := m.watch(t, c.Tenant.ID)
	c.Install(t, c.Module, "")
	until(t, seen, settings{Limit: 1})
	for round := range 3 {
		m.line.Cut(true)
		m.set(t, "tenant", map[string]any{"limit": 10 + round}) // nobody can tell
		m.line.MoveTo(t, lineTarget(s, transport))
		until(t, seen, settings{Limit: 10 + round})
		m.line.Cut(false)
		m.set(t, "tenant", map[string]any{"limit": 20 + round})
		until(t, seen, settings{Limit: 20 + round})
	}
	handled := m.hooks(t, succeed)
	m.line.Cut(true)
	stack.Do(t, s, contract.DisableModule, &contract.ChangeModule{TenantID: contract.ID(c.Tenant.ID), ModuleName: c.Module})
	m.line.MoveTo(t, lineTarget(s, transport))
	events := []string{next(t, handled).Event}
	if events[0] != "disabled" {
		events = append(events, next(t, handled).Event)
	}
	require.Contains(t, events, "installed")
	m.acknowledged(t)
}

func lineTarget(s *stack.Stack, transport string) string {
	if transport == "nats" {
		return s.NATSURL
	}
	return s.HTTPURL
}

func TestServicesThatRestartLoseNoChange(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	watchers := map[string]<-chan settings{}
	modules := map[string]*module{}
	for _, transport := range transports {
		c := publish(t, s)
		m := connect(t, s, c, transport, c.APIKey)
		c.Install(t, c.Module, "")
		modules[transport], watchers[transport] = m, m.watch(t, c.Tenant.ID)
		until(t, watchers[transport], settings{Limit: 1})
	}
	changed := func(limit int) {
		t.Helper()
		for _, m := range modules {
			m.set(t, "tenant", map[string]any{"limit": limit})
		}
	}
	seen := func(limit int) {
		t.Helper()
		for _, transport := range transports {
			until(t, watchers[transport], settings{Limit: limit})
		}
	}
	s.Processes["httpbridge"].Stop()
	changed(2)
	until(t, watchers["nats"], settings{Limit: 2})
	s.Processes["httpbridge"].Start()
	modules["http"].line.MoveTo(t, s.Processes["httpbridge"].HTTPURL)
	until(t, watchers["http"], settings{Limit: 2})
	s.HTTPURL = s.Processes["httpbridge"].HTTPURL

	// Whoever would tell is gone at once, and a replica that begins later has
	// not heard of it.
	for round := range 3 {
		changed(10 + round)
		s.Processes["tenant"].Kill()
		s.Processes["tenant"].Start()
		seen(10 + round)
	}
	changed(20)
	s.Bus.Kill()
	s.Bus.Start()
	seen(20)
	second := s.Replica(t, "tenant")
	changed(30)
	seen(30)
	second.Terminate()
	changed(31)
	seen(31)
}
