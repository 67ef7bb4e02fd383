package parity

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// badInput is one mistake, the same over both transports.
type badInput struct {
	name, body string
	op         *contract.Spec
	code       contract.Code
	field      string
}

func badInputs(c *stack.Company) []badInput {
	verify, check, log := contract.VerifyToken.Spec, contract.CheckPermission.Spec, contract.LogAudit.Spec
	user := `"user_id":"` + c.Reader.ID + `"`
	invalid := contract.InvalidArgument
	return []badInput{
		{"malformed JSON", `{"token":`, verify, invalid, ""},
		{"two values", `{"token":"a"} {}`, verify, invalid, ""},
		{"not an object", `["token"]`, verify, invalid, ""},
		{"null", `null`, verify, invalid, ""},
		{"invalid UTF-8", "{\"token\":\"\xff\"}", verify, invalid, ""},
		{"missing field", `{}`, verify, invalid, "token"},
		{"empty field", `{"token":""}`, verify, invalid, "token"},
		{"null field", `{"token":null}`, verify, invalid, "token"},
		{"wrong type", `{"token":17}`, verify, invalid, "token"},
		{"unknown field", `{"token":"a","tokn":"b"}`, verify, invalid, "tokn"},
		{"field in another case", `{"Token":"a"}`, verify, invalid, "token"},
		{"over-long value", `{"token":"` + strings.Repeat("a", 8193) + `"}`, verify, invalid, "token"},
		{"not a UUID", `{"user_id":"17","permission":"a:b"}`, check, invalid, "user_id"},
		{"number that is no UUID", `{"user_id":17,"permission":"a:b"}`, check, invalid, "user_id"},
		{"injection", `{"user_id":"' OR 1=1 --","permission":"a:b"}`, check, invalid, "user_id"},
		{"permission without segments", `{` + user + `,"permission":"read"}`, check, invalid, "permission"},
		{"permission with a wildcard", `{` + user + `,"permission":"a:*"}`, check, invalid, "permission"},
		{"object for an id", `{` + user + `,"permission":"a:b","resource_id":{}}`, check, invalid, "resource_id"},
		{"U+0000", `{` + user + `,"action":"a","resource_type":"x\u0000y"}`, log, invalid, "resource_type"},
		{"U+0000 in details", `{` + user + `,"action":"a","resource_type":"x","details":{"a":["\u0000"]}}`, log, invalid, "details"},
		{"number beyond float64", `{` + user + `,"action":"a","resource_type":"x","details":{"a":1e999}}`, log, invalid, "details"},
		{"action with a space", `{` + user + `,"action":"a b","resource_type":"x"}`, log, invalid, "action"},
		{"details too large", `{` + user + `,"action":"a","resource_type":"x","details":"` + strings.Repeat("d", 70_000) + `"}`, log, invalid, "details"},
		{"outcome that is none", `{` + user + `,"action":"a","resource_type":"x","outcome":"maybe"}`, log, invalid, "outcome"},
		{"change of no field", `{` + user + `,"action":"a","resource_type":"x","changes":[{"after":1}]}`, log, invalid, "changes[0].field"},
		{"change with more", `{` + user + `,"action":"a","resource_type":"x","changes":[{"field":"a","was":1}]}`, log, invalid, "changes[0].was"},
		{"changes too large", `{` + user + `,"action":"a","resource_type":"x","changes":[{"field":"a","after":"` + strings.Repeat("d", 70_000) + `"}]}`, log, invalid, "changes"},
		{"too many changes", `{` + user + `,"action":"a","resource_type":"x","changes":[` + strings.Repeat(`{"field":"a"},`, 100) + `{"field":"a"}]}`, log, invalid, "changes"},
		{"on behalf of no UUID", `{` + user + `,"action":"a","resource_type":"x","on_behalf_of":"boss"}`, log, invalid, "on_behalf_of"},
		{"identity in the request", `{` + user + `,"action":"a","resource_type":"x","source":"` + c.Tenant.ID + `"}`, log, invalid, "source"},
		{"tenant that is no UUID", `{"tenant_id":"..%2f"}`, contract.GetTenant.Spec, invalid, "tenant_id"},
		{"module name in capitals", `{"tenant_id":"` + c.Tenant.ID + `","module_name":"CRM"}`, contract.GetTenantModule.Spec, invalid, "module_name"},
		{"body over 1 MiB", `{"token":"` + strings.Repeat("a", contract.MaxBody) + `"}`, verify, contract.PayloadTooLarge, ""},
	}
}

func testBadInput(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c := s.Company(t)
	callers := s.Callers(t, c)
	for _, bad := range badInputs(c) {
		for transport, caller := range callers {
			t.Run(bad.name+" over "+transport, func(t *testing.T) {
				_, refused := caller.Call(t, bad.op, bad.body)
				requireCode(t, bad.code, bad.field, refused)
				require.NotContains(t, refused.Message, "SQL")
				require.NotContains(t, refused.Message, "goroutine")
				require.Less(t, len(refused.Message), 1000)
			})
		}
	}
	testSpellings(t, c, callers)
	t.Run("http", func(t *testing.T) { testBadHTTP(t, s, c) })
	t.Run("audit.list", func(t *testing.T) {
		reader := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Admin)}
		for body, field := range map[string]string{
			`{"limit":0}`: "limit", `{"limit":501}`: "limit", `{"limit":"x"}`: "limit", `{"limit":1.5}`: "limit",
			`{"cursor":"x"}`: "cursor", `{"cursor":"-1"}`: "cursor", `{"user_id":"x"}`: "user_id",
			`{"tenant_id":"x"}`: "tenant_id",
		} {
			_, refused := reader.Call(t, contract.ListAudit.Spec, body)
			requireCode(t, contract.InvalidArgument, field, refused)
		}
	})
}

// testSpellings has what is accepted in more than one spelling.
func testSpellings(t *testing.T, c *stack.Company, callers map[string]stack.Caller) {
	for _, resource := range []string{`"17"`, `17`, `9007199254740993`, `null`} {
		for transport, caller := range callers {
			t.Run("resource_id "+resource+" over "+transport, func(t *testing.T) {
				_, refused := caller.Call(t, contract.CheckPermission.Spec,
					`{"user_id":"`+c.Reader.ID+`","permission":"a:b","resource_id":`+resource+`}`)
				require.Nil(t, refused)
			})
		}
	}
}

// testBadHTTP has the mistakes that only HTTP can make.
func testBadHTTP(t *testing.T, s *stack.Stack, c *stack.Company) {
	json := "application/json"
	for _, bad := range []struct {
		name, method, path, contentType, body string
		code                                  contract.Code
		field                                 string
	}{
		{"no content type", "POST", contract.VerifyToken.Path, "", `{}`, contract.UnsupportedMediaType, "Content-Type"},
		{"wrong content type", "POST", contract.VerifyToken.Path, "text/plain", `{}`, contract.UnsupportedMediaType, "Content-Type"},
		{"form", "POST", contract.VerifyToken.Path, "application/x-www-form-urlencoded", `token=a`, contract.UnsupportedMediaType, "Content-Type"},
		{"wrong method", "GET", contract.VerifyToken.Path, "", "", contract.MethodNotAllowed, ""},
		{"delete", "DELETE", "/api/v1/core/tenants/" + c.Tenant.ID, "", "", contract.MethodNotAllowed, ""},
		{"unknown route", "GET", "/api/v1/core/nothing", "", "", contract.NotFound, ""},
		{"unknown page", "GET", "/nothing", "", "", contract.NotFound, ""},
		{"unknown query parameter", "GET", "/api/v1/core/tenants/" + c.Tenant.ID + "?x=1", "", "", contract.InvalidArgument, "x"},
		{"parameter given twice", "GET", "/api/v1/audit/events?limit=1&limit=2", "", "", contract.InvalidArgument, "limit"},
		{"broken query", "GET", "/api/v1/audit/events?limit=%zz", "", "", contract.InvalidArgument, ""},
		{"semicolons", "GET", "/api/v1/audit/events?limit=1;x=2", "", "", contract.InvalidArgument, ""},
		{"empty body", "POST", contract.VerifyToken.Path, json, "", contract.InvalidArgument, "token"},
		{"internal operation", "POST", "/api/v1/core/auth/create_key", json, "{}", contract.NotFound, ""},
	} {
		t.Run(bad.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(stack.Context(t), bad.method, s.HTTPURL+bad.path, strings.NewReader(bad.body))
			require.NoError(t, err)
			request.Header.Set(contract.HeaderAPIKey, c.APIKey)
			if bad.contentType != "" {
				request.Header.Set("Content-Type", bad.contentType)
			}
			_, refused := stack.Answer(t, request)
			requireCode(t, bad.code, bad.field, refused)
		})
	}
}
