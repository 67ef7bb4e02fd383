// Package parity holds every operation to one behaviour over both transports,
// in one process and apart.
package parity

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
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
			t.Run("answers", func(t *testing.T) { testAnswers(t, s) })
			t.Run("denials", func(t *testing.T) { testDenials(t, s) })
			t.Run("bad input", func(t *testing.T) { testBadInput(t, s) })
			t.Run("audit trail", func(t *testing.T) { testAuditTrail(t, s) })
			t.Run("sdk", func(t *testing.T) { testSDK(t, s) })
		})
	}
}

// example is a request of an operation and what its answer must hold.
type example struct {
	body func(*stack.Company) string
	want func(*testing.T, *stack.Company, map[string]any)
}

func format(text string, args ...func(*stack.Company) string) func(*stack.Company) string {
	return func(c *stack.Company) string {
		values := make([]any, len(args))
		for i, arg := range args {
			values[i] = arg(c)
		}
		return fmt.Sprintf(text, values...)
	}
}

func tenantID(c *stack.Company) string { return c.Tenant.ID }
func moduleOf(c *stack.Company) string { return c.Module }
func readerID(c *stack.Company) string { return c.Reader.ID }

// examples has one entry for every operation that modules may call; an
// operation without one fails the suite.
func examples(t *testing.T) map[string][]example {
	return map[string][]example{
		"auth.verify": {{
			func(c *stack.Company) string { return `{"token":"` + c.Token(t, c.Reader) + `"}` },
			func(t *testing.T, c *stack.Company, got map[string]any) {
				require.Equal(t, map[string]any{
					"id": c.Reader.ID, "email": c.Reader.Email, "username": strings.Split(c.Reader.Email, "@")[0],
					"tenant_id": c.Tenant.ID, "tenant_code": c.Tenant.Code,
				}, got["user"])
			},
		}},
		"rbac.check": {
			check(":accounts:read", `"resource_id":"17"`, true), check(":accounts:read", `"resource_id":9007199254740993`, true),
			check(":accounts:write", `"resource_id":null`, false),
		},
		"rbac.permissions": {{
			format(`{"user_id":"%s"}`, readerID),
			func(t *testing.T, c *stack.Company, got map[string]any) {
				require.Equal(t, []any{c.Module + ":accounts:read"}, got["permissions"])
			},
		}},
		"tenant.get": {{
			format(`{"tenant_id":"%s"}`, tenantID),
			func(t *testing.T, c *stack.Company, got map[string]any) {
				require.Equal(t, c.Tenant.ID, got["id"])
				require.Equal(t, c.Tenant.Code, got["code"])
				require.Equal(t, c.Tenant.Name, got["name"])
				require.Equal(t, true, got["is_active"])
			},
		}},
		"tenant.module": {{
			format(`{"tenant_id":"%s","module_name":"%s"}`, tenantID, moduleOf),
			func(t *testing.T, _ *stack.Company, got map[string]any) { require.Equal(t, true, got["enabled"]) },
		}},
		"audit.log": {{
			format(`{"user_id":"%s","action":"invoice.created","resource_type":"invoice","resource_id":7,"details":{"total":12.50}}`, readerID),
			func(t *testing.T, _ *stack.Company, got map[string]any) {
				require.Equal(t, "logged", got["status"])
				id, _ := got["id"].(string)
				require.NoError(t, uuid.Validate(id))
			},
		}},
	}
}

func check(permission, resource string, allowed bool) example {
	return example{
		format(`{"user_id":"%s","permission":"%s`+permission+`",`+resource+`}`, readerID, moduleOf),
		func(t *testing.T, _ *stack.Company, got map[string]any) { require.Equal(t, allowed, got["allowed"]) },
	}
}

func testAnswers(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c := s.Company(t)
	callers := s.Callers(t, c)
	callers["inside core"] = stack.BusCaller{Conn: s.Operator}
	all := examples(t)
	for _, spec := range contract.Operations() {
		if !spec.Access.Has(contract.Module) {
			continue
		}
		require.NotEmpty(t, all[spec.Name], "%s has no example", spec.Name)
		for transport, caller := range callers {
			t.Run(spec.Name+" over "+transport, func(t *testing.T) {
				for _, e := range all[spec.Name] {
					out, refused := caller.Call(t, spec, e.body(c))
					require.Nil(t, refused)
					var got map[string]any
					require.NoError(t, json.Unmarshal(out, &got))
					e.want(t, c, got)
				}
			})
		}
	}
	t.Run("login and keys need no credential", func(t *testing.T) {
		anyone := stack.HTTPCaller{URL: s.HTTPURL}
		out, refused := anyone.Call(t, contract.Login.Spec,
			`{"email":"`+strings.ToUpper(c.Admin.Email)+`","password":"`+c.Admin.Password+`"}`)
		require.Nil(t, refused)
		var in contract.LoginResponse
		require.NoError(t, json.Unmarshal(out, &in))
		require.Equal(t, c.Admin.ID, in.User.ID)
		require.Equal(t, c.Tenant.Code, in.User.TenantCode)
		out, refused = anyone.Call(t, contract.JWKS.Spec, "{}")
		require.Nil(t, refused)
		verifyWithJWKS(t, out, in.AccessToken)
	})
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
