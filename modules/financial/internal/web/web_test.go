package web_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/buildify/core/modules/financial/internal/coretest"
	"github.com/buildify/core/modules/financial/internal/ledger"
	"github.com/buildify/core/modules/financial/internal/web"
	"github.com/buildify/core/pkg/sdk"
)

var all = []string{
	"financial:accounts:read", "financial:accounts:write", "financial:invoices:read", "financial:invoices:write",
}

type module struct {
	http.Handler
	t     *testing.T
	core  *coretest.Core
	books *ledger.Ledger
}

// start returns the module with ann of tenant acme and bob of tenant beta,
// who may do everything, and eve of acme, who may do nothing.
func start(t *testing.T) *module {
	t.Helper()
	core := coretest.Start(t)
	core.AddUser("ann", "acme", all...)
	core.AddUser("bob", "beta", all...)
	core.AddUser("eve", "acme")
	client, err := sdk.New(t.Context(), sdk.Config{APIURL: core.URL, APIKey: coretest.Key}, sdk.WithoutRetries())
	if err != nil {
		t.Fatal(err)
	}
	books, err := ledger.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), books.Close() })
	return &module{web.New(client, books, slog.New(slog.DiscardHandler)), t, core, books}
}

type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (m *module) call(token, method, path, body string) answer {
	m.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return m.do(r)
}

func (m *module) do(r *http.Request) answer {
	m.t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	a := answer{w.Code, w.Header(), nil}
	if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
		m.t.Fatalf("%s %s: %d %q", r.Method, r.URL, w.Code, w.Body)
	}
	want := "application/json"
	if w.Code >= 400 {
		want = "application/problem+json"
	}
	if got := w.Header().Get("Content-Type"); got != want {
		m.t.Errorf("%s %s: content type %q", r.Method, r.URL, got)
	}
	return a
}

func (a answer) want(t *testing.T, status int, code, field string) {
	t.Helper()
	gotCode, _ := a.body["code"].(string)
	gotField, _ := a.body["field"].(string)
	if a.status != status || gotCode != code || gotField != field {
		t.Errorf("got %d %v, want %d %s %q", a.status, a.body, status, code, field)
	}
}

func (m *module) account(token, code, kind string) string {
	m.t.Helper()
	a := m.call(token, "POST", "/accounts", fmt.Sprintf(`{"code":%q,"name":"n","type":%q,"currency":"EUR"}`, code, kind))
	id, _ := a.body["id"].(string)
	if a.status != 201 || id == "" {
		m.t.Fatalf("account: %d %v", a.status, a.body)
	}
	return id
}

func (m *module) count(token, path string) int {
	m.t.Helper()
	items, _ := m.call(token, "GET", path, "").body["items"].([]any)
	return len(items)
}

func invoice(number, receivable, revenue string) string {
	return fmt.Sprintf(`{"number":%q,"customer":"C","currency":"EUR","receivable_account_id":%q,
		"lines":[{"account_id":%q,"description":"d","amount":10000},{"account_id":%q,"description":"d","amount":1900}]}`,
		number, receivable, revenue, revenue)
}

func TestInvoiceFromAccountsToPostings(t *testing.T) {
	t.Parallel()
	m := start(t)
	receivable, revenue := m.account("ann", "1200", "asset"), m.account("ann", "8400", "revenue")
	created := m.call("ann", "POST", "/invoices", invoice("2026-1", receivable, revenue))
	if created.status != 201 || created.body["total"] != 11900.0 || created.body["created_by"] != "user-ann" {
		t.Fatalf("created %v", created)
	}
	id, _ := created.body["id"].(string)
	found := m.call("ann", "GET", "/invoices/"+id, "")
	postings, _ := found.body["postings"].([]any)
	if found.status != 200 || found.body["tenant_id"] != "acme" || len(postings) != 3 {
		t.Errorf("found %v", found)
	}
	if m.count("ann", "/accounts") != 2 || m.count("ann", "/invoices") != 1 {
		t.Error("lists")
	}

	events := m.core.Events()
	if len(events) != 3 {
		t.Fatalf("events %v", events)
	}
	if e := events[0]; e.Action != "account.created" || e.UserID != "user-ann" || e.ResourceID != receivable || e.Details["code"] != "1200" {
		t.Errorf("event %+v", e)
	}
	if e := events[2]; e.Action != "invoice.created" || e.ResourceType != "invoice" || e.ResourceID != id || e.Details["total"] != 11900.0 {
		t.Errorf("event %+v", e)
	}
}

func TestTenantsSeeOnlyTheirOwn(t *testing.T) {
	t.Parallel()
	m := start(t)
	receivable, revenue := m.account("ann", "1200", "asset"), m.account("ann", "8400", "revenue")
	id, _ := m.call("ann", "POST", "/invoices", invoice("1", receivable, revenue)).body["id"].(string)

	m.call("bob", "GET", "/invoices/"+id, "").want(t, 404, "not_found", "")
	m.call("bob", "GET", "/accounts?cursor="+receivable, "").want(t, 400, "invalid_argument", "cursor")
	m.call("bob", "POST", "/invoices", invoice("1", receivable, revenue)).want(t, 400, "invalid_argument", "receivable_account_id")
	own := m.account("bob", "1200", "asset")
	m.call("bob", "POST", "/invoices", invoice("1", own, revenue)).want(t, 400, "invalid_argument", "lines[0].account_id")
	if m.count("bob", "/invoices") != 0 || m.count("bob", "/accounts") != 1 {
		t.Error("bob sees what is not his")
	}
}

func TestEveryRouteWantsUserAndPermission(t *testing.T) {
	t.Parallel()
	m := start(t)
	for _, route := range []struct{ method, path, permission string }{
		{"GET", "/accounts", all[0]},
		{"POST", "/accounts", all[1]},
		{"GET", "/invoices", all[2]},
		{"GET", "/invoices/x", all[2]},
		{"POST", "/invoices", all[3]},
	} {
		m.call("", route.method, route.path, "").want(t, 401, "unauthenticated", "Authorization")
		m.call("stranger", route.method, route.path, "").want(t, 401, "unauthenticated", "Authorization")
		m.call("eve", route.method, route.path, "").want(t, 403, "permission_denied", "")
		var others []string
		for _, p := range all {
			if p != route.permission {
				others = append(others, p)
			}
		}
		m.core.AddUser("most", "acme", others...)
		m.call("most", route.method, route.path, "").want(t, 403, "permission_denied", "")
		m.core.AddUser("just", "acme", route.permission)
		if got := m.call("just", route.method, route.path, ""); got.status == 401 || got.status == 403 {
			t.Errorf("%s %s: %v", route.method, route.path, got)
		}
	}
	if events := m.core.Events(); len(events) != 0 {
		t.Errorf("events %v", events)
	}
}

func TestBadInputNamesItsField(t *testing.T) {
	t.Parallel()
	m := start(t)
	receivable, revenue := m.account("ann", "1200", "asset"), m.account("ann", "8400", "revenue")
	good := invoice("7", receivable, revenue)
	change := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	for _, c := range []struct{ path, body, field string }{
		{"/accounts", `{"code":"","name":"n","type":"asset","currency":"EUR"}`, "code"},
		{"/accounts", `{"code":"a b","name":"n","type":"asset","currency":"EUR"}`, "code"},
		{"/accounts", `{"code":"1","name":"  ","type":"asset","currency":"EUR"}`, "name"},
		{"/accounts", `{"code":"1","name":"a\u0000b","type":"asset","currency":"EUR"}`, "name"},
		{"/accounts", `{"code":"1","name":"` + strings.Repeat("n", 201) + `","type":"asset","currency":"EUR"}`, "name"},
		{"/accounts", `{"code":"1","name":"n","type":"toy","currency":"EUR"}`, "type"},
		{"/accounts", `{"code":"1","name":"n","type":"asset","currency":"eur"}`, "currency"},
		{"/accounts", `{"code":1,"name":"n","type":"asset","currency":"EUR"}`, "code"},
		{"/accounts", `{"code":"1","name":"n","type":"asset","currency":"EUR","tenant_id":"beta"}`, "tenant_id"},
		{"/accounts", `[]`, ""},
		{"/accounts", `null`, "code"},
		{"/accounts", `{"code":"1"`, ""},
		{"/accounts", `{} {}`, ""},
		{"/accounts", `garbage`, ""},
		{"/invoices", change(`"7"`, `""`), "number"},
		{"/invoices", change(`"C"`, `""`), "customer"},
		{"/invoices", change(`"EUR"`, `"USD"`), "currency"},
		{"/invoices", change(receivable, ""), "receivable_account_id"},
		{"/invoices", change(receivable, "nope"), "receivable_account_id"},
		{"/invoices", change(receivable, revenue), "receivable_account_id"},
		{"/invoices", change(revenue, "nope"), "lines[0].account_id"},
		{"/invoices", change("1900", "0"), "lines[1].amount"},
		{"/invoices", change("1900", "-5"), "lines[1].amount"},
		{"/invoices", change("1900", "9223372036854775807"), "lines[1].amount"},
		{"/invoices", change("1900", "19.5"), "lines.amount"},
		{"/invoices", change("1900", "1e30"), "lines.amount"},
		{"/invoices", `{"number":"7","customer":"C","currency":"EUR","receivable_account_id":"` + receivable + `","lines":[]}`, "lines"},
		{"/invoices", change(`"number"`, `"created_by":"user-bob","number"`), "created_by"},
	} {
		m.call("ann", "POST", c.path, c.body).want(t, 400, "invalid_argument", c.field)
	}
	m.call("ann", "GET", "/accounts?limit=0", "").want(t, 400, "invalid_argument", "limit")
	m.call("ann", "GET", "/accounts?limit=501", "").want(t, 400, "invalid_argument", "limit")
	m.call("ann", "GET", "/accounts?tenant_id=beta", "").want(t, 400, "invalid_argument", "query")
	m.call("ann", "GET", "/invoices?cursor=x", "").want(t, 400, "invalid_argument", "cursor")
	m.call("ann", "POST", "/accounts", `{"name":"`+strings.Repeat("x", 1<<20)+`"}`).want(t, 413, "payload_too_large", "")
	plain := httptest.NewRequest("POST", "/accounts", strings.NewReader("code=1"))
	plain.Header.Set("Authorization", "Bearer ann")
	m.do(plain).want(t, 415, "unsupported_media_type", "Content-Type")
	if a := m.call("ann", "POST", "/invoices", good); a.status != 201 {
		t.Errorf("the good one: %v", a)
	}
	if n := m.count("ann", "/accounts"); n != 2 {
		t.Errorf("%d accounts", n)
	}
}

func TestCodesAndNumbersAreUniqueInATenant(t *testing.T) {
	t.Parallel()
	m := start(t)
	receivable, revenue := m.account("ann", "1200", "asset"), m.account("ann", "8400", "revenue")
	m.account("bob", "1200", "asset")
	m.call("ann", "POST", "/accounts", `{"code":"1200","name":"n","type":"asset","currency":"EUR"}`).want(t, 409, "already_exists", "code")
	if a := m.call("ann", "POST", "/invoices", invoice("1", receivable, revenue)); a.status != 201 {
		t.Error(a)
	}
	m.call("ann", "POST", "/invoices", invoice("1", receivable, revenue)).want(t, 409, "already_exists", "number")
	if n := len(m.core.Events()); n != 4 {
		t.Errorf("%d events: refusals must leave none", n)
	}
}

func TestNothingIsWrittenThatTheTrailDoesNotHold(t *testing.T) {
	t.Parallel()
	m := start(t)
	body := `{"code":"1200","name":"n","type":"asset","currency":"EUR"}`
	for _, status := range []int{503, 404, 401} {
		m.core.RefuseEvents(status)
		m.call("ann", "POST", "/accounts", body).want(t, 503, "unavailable", "")
	}
	if n := m.count("ann", "/accounts"); n != 0 {
		t.Errorf("%d accounts without an event", n)
	}
	m.core.RefuseEvents(0)
	if a := m.call("ann", "POST", "/accounts", body); a.status != 201 {
		t.Errorf("tried again: %v", a)
	}
}

func TestWhatCouldNotBeStoredIsTakenBackInTheTrail(t *testing.T) {
	t.Parallel()
	m := start(t)
	if err := m.books.Close(); err != nil { // like a disk that fails
		t.Fatal(err)
	}
	a := m.call("ann", "POST", "/accounts", `{"code":"1","name":"n","type":"asset","currency":"EUR"}`)
	a.want(t, 503, "unavailable", "")
	events := m.core.Events()
	if len(events) != 2 || events[0].Action != "account.created" || events[1].Action != "account.create_failed" ||
		events[0].ResourceID != events[1].ResourceID {
		t.Errorf("events %+v", events)
	}
	if n := m.count("ann", "/accounts"); n != 0 {
		t.Errorf("%d accounts", n)
	}
}

func TestUnknownRoutesAndMethodsAreProblems(t *testing.T) {
	t.Parallel()
	m := start(t)
	m.call("", "GET", "/nope", "").want(t, 404, "not_found", "")
	refused := m.call("ann", "DELETE", "/accounts", "")
	refused.want(t, 405, "method_not_allowed", "")
	if got := refused.header.Get("Allow"); got != "GET, POST" {
		t.Errorf("Allow %q", got)
	}
	if a := m.call("", "GET", "/healthz", ""); a.status != 200 {
		t.Error(a)
	}
}
