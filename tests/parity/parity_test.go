// Package parity holds every operation to one behaviour over both transports,
// in one process and apart.
package parity

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// modes are the ways to run the core; every suite runs in both.
var modes = map[string]func(testing.TB) *stack.Stack{
	"one process":        stack.OneProcess,
	"separate processes": stack.Processes,
}

func TestEveryOperationBehavesAlikeInEveryModeAndTransport(t *testing.T) {
	t.Parallel()
	for mode, start := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			t.Run("table", func(t *testing.T) { testTable(t, s) })
			t.Run("denials", func(t *testing.T) { testDenials(t, s) })
			t.Run("bad input", func(t *testing.T) { testBadInput(t, s) })
			t.Run("audit trail", func(t *testing.T) { testAuditTrail(t, s) })
			t.Run("domain trail", func(t *testing.T) { testDomainTrail(t, s) })
			t.Run("identity", func(t *testing.T) { testIdentity(t, s) })
			t.Run("policy", func(t *testing.T) { testPolicy(t, s) })
			t.Run("modules", func(t *testing.T) { testModules(t, s) })
			t.Run("feed", func(t *testing.T) { testFeed(t, s) })
			t.Run("sdk", func(t *testing.T) { testSDK(t, s) })
		})
	}
}

func testAuditTrail(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c := s.Company(t)
	want := map[string]string{} // event id → transport
	for transport, caller := range s.Callers(t, c) {
		out, refused := caller.Call(t, contract.LogAudit.Spec, `{"user_id":"`+c.Reader.ID+`","action":"trail.test",
			"resource_type":"invoice","resource_id":"i-1","details":{"transport":"`+transport+`"}}`)
		require.Nil(t, refused)
		var logged contract.LogAuditResponse
		require.NoError(t, json.Unmarshal(out, &logged))
		want[logged.ID] = transport
	}
	token := c.Token(t, c.Admin)
	var reader stack.Caller = stack.HTTPCaller{URL: s.HTTPURL, Bearer: token}
	var page contract.ListAuditResponse
	require.Eventually(t, func() bool {
		out, refused := reader.Call(t, contract.ListAudit.Spec, `{"action":"trail.test","user_id":"`+c.Reader.ID+`"}`)
		require.Nil(t, refused)
		page = contract.ListAuditResponse{}
		require.NoError(t, json.Unmarshal(out, &page))
		return len(page.Items) >= len(want)
	}, stack.Timeout, 5*time.Millisecond)
	require.Len(t, page.Items, len(want))
	for i, item := range page.Items {
		require.JSONEq(t, `{"transport":"`+want[item.ID]+`"}`, string(item.Details))
		require.Equal(t, c.Tenant.ID, item.TenantID)
		require.Equal(t, c.Module, item.Source, "the source is the caller, whatever the request says")
		require.Equal(t, "i-1", item.ResourceID)
		if i > 0 {
			require.Less(t, item.Sequence, page.Items[i-1].Sequence, "newest first")
		}
	}
	for transport, reader := range map[string]stack.Caller{"http": reader, "nats": stack.BusCaller{Conn: s.Operator, Bearer: token}} {
		t.Run("pages over "+transport, func(t *testing.T) { testPages(t, reader) })
	}
}

func testPages(t *testing.T, reader stack.Caller) {
	var seen []int64
	cursor := ""
	for {
		out, refused := reader.Call(t, contract.ListAudit.Spec, `{"limit":1`+cursor+`}`)
		require.Nil(t, refused)
		var one contract.ListAuditResponse
		require.NoError(t, json.Unmarshal(out, &one))
		for _, item := range one.Items {
			seen = append(seen, item.Sequence)
		}
		if one.NextCursor == "" {
			break
		}
		cursor = `,"cursor":"` + one.NextCursor + `"`
	}
	for i, seq := range seen {
		require.EqualValues(t, len(seen)-i, seq, "gap-free and complete")
	}
}
