package route

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/httpbridge/internal/keys"
)

// mounted is the routes with nothing behind them.
func mounted(t testing.TB) http.Handler {
	t.Helper()
	telemetry, err := kit.NewTelemetry(t.Context(), kit.TelemetryConfig{Process: "test"})
	require.NoError(t, err)
	mux := http.NewServeMux()
	(&Router{Keys: &keys.Keys{}, Telemetry: telemetry}).Mount(mux)
	return mux
}

func ask(t testing.TB, h http.Handler, method, target string, header map[string]string) (*httptest.ResponseRecorder, contract.Problem) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader("{}"))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var p contract.Problem
	if method != http.MethodHead {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), "%s", w.Body)
		require.Equal(t, contract.ProblemType, w.Header().Get("Content-Type"))
		require.Equal(t, w.Code, p.Status)
		require.Equal(t, w.Header().Get("X-Request-Id"), p.RequestID)
		require.NotEmpty(t, p.RequestID)
	}
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	return w, p
}

func concrete(path string) string {
	return strings.NewReplacer("{user_id}", "1", "{tenant_id}", "1", "{module_name}", "crm").Replace(path)
}

func TestWithoutAKeyAModulesRouteIsShut(t *testing.T) {
	t.Parallel()
	h, n := mounted(t), 0
	for _, spec := range contract.Operations() {
		if !spec.Access.Has(contract.Module) {
			continue
		}
		authorization := "Bearer x"
		if forPeople(spec.Access) {
			authorization = "" // with it and no key it is a person who calls
		}
		for _, key := range []string{"", "nonsense", "bfy_dev_crm-abcdefgh_" + strings.Repeat("0", 72), "Bearer x", strings.Repeat("x", 10_000)} {
			w, p := ask(t, h, spec.Method, concrete(spec.Path), map[string]string{
				contract.HeaderAPIKey: key, "Authorization": authorization, "Buildify-Principal": "service;;", "Content-Type": "application/json",
			})
			require.Equal(t, http.StatusUnauthorized, w.Code, spec.Name)
			require.Equal(t, contract.Unauthenticated, p.Code)
			require.Equal(t, "ApiKey", w.Header().Get("WWW-Authenticate"))
			n++
		}
	}
	require.Positive(t, n)
}

func TestAnotherMethodIsToldWhichToUse(t *testing.T) {
	t.Parallel()
	h := mounted(t)
	for _, spec := range contract.Operations() {
		if spec.Path == "" {
			continue
		}
		w, p := ask(t, h, http.MethodOptions, concrete(spec.Path), nil)
		require.Equal(t, contract.MethodNotAllowed, p.Code, spec.Name)
		require.Contains(t, w.Header().Get("Allow"), spec.Method)
	}
}

func TestWhatIsNoRouteIsNotFound(t *testing.T) {
	t.Parallel()
	h := mounted(t)
	for _, target := range []string{"/nothing", "/api/v1", "/api/v1/core/auth/verify/", "/API/V1/core/auth/verify"} {
		_, p := ask(t, h, http.MethodGet, target, nil)
		require.Equal(t, contract.NotFound, p.Code, target)
	}
	// What is internal has no route under any name.
	for _, spec := range contract.Operations() {
		if spec.Access == contract.Internal {
			for _, target := range []string{"/api/v1/core/" + strings.ReplaceAll(spec.Name, ".", "/"), "/" + spec.Name, "/" + spec.Subject()} {
				_, p := ask(t, h, http.MethodPost, target, nil)
				require.Equal(t, contract.NotFound, p.Code, target)
			}
		}
	}
}

func TestTheCallersRequestIDIsKeptWhenItIsOne(t *testing.T) {
	t.Parallel()
	h := mounted(t)
	_, p := ask(t, h, http.MethodGet, "/nothing", map[string]string{"X-Request-Id": "my-request-1"})
	require.Equal(t, "my-request-1", p.RequestID)
	for _, id := range []string{"short", "with space in it", strings.Repeat("a", 65), "<script>alert(1)</script>"} {
		_, p := ask(t, h, http.MethodGet, "/nothing", map[string]string{"X-Request-Id": id})
		require.NotEqual(t, id, p.RequestID)
	}
}
