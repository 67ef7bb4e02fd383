package web_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/buildify/core/web"
)

// mounted is the handler as the bridge mounts it.
func mounted() http.Handler {
	mux := http.NewServeMux()
	for _, pattern := range web.Patterns() {
		mux.Handle(pattern, web.Handler())
	}
	return mux
}

func get(handler http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

func TestPagesAndAssetsAreServedWithTheirTypeAndPolicy(t *testing.T) {
	t.Parallel()
	handler := mounted()
	for path, want := range map[string]struct{ kind, policy string }{
		"/":                                 {"text/html; charset=utf-8", web.PagePolicy},
		"/docs/api":                         {"text/html; charset=utf-8", web.ReferencePolicy},
		"/account/set-password":             {"text/html; charset=utf-8", web.PagePolicy},
		"/assets/set-password.js":           {"text/javascript; charset=utf-8", web.PagePolicy},
		"/assets/site.css":                  {"text/css; charset=utf-8", web.PagePolicy},
		"/assets/api.js":                    {"text/javascript; charset=utf-8", web.PagePolicy},
		"/assets/icon.svg":                  {"image/svg+xml", web.PagePolicy},
		"/assets/swagger-ui/swagger-ui.css": {"text/css; charset=utf-8", web.PagePolicy},
		"/assets/swagger-ui/swagger-ui-bundle.js": {"text/javascript; charset=utf-8", web.PagePolicy},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			answer := get(handler, path)
			if answer.Code != http.StatusOK || answer.Body.Len() == 0 {
				t.Fatalf("got %d with %d bytes", answer.Code, answer.Body.Len())
			}
			for name, value := range map[string]string{
				"Content-Type":            want.kind,
				"Content-Security-Policy": want.policy,
				"Cache-Control":           "no-cache",
				"X-Content-Type-Options":  "nosniff",
			} {
				if got := answer.Header().Get(name); got != value {
					t.Errorf("%s: got %q, want %q", name, got, value)
				}
			}
			etag := answer.Header().Get("ETag")
			again := get(handler, path, "If-None-Match", etag)
			if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
				t.Errorf("with If-None-Match %s: got %d with %d bytes", etag, again.Code, again.Body.Len())
			}
		})
	}
}

func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()
	handler := mounted()
	for _, path := range []string{"/index.html", "/docs/api.html", "/account/set-password.html", "/account/", "/docs", "/assets/", "/assets/swagger-ui/", "/assets/../web.go", "/web.go"} {
		if answer := get(handler, path); answer.Code == http.StatusOK {
			t.Errorf("%s: got %d", path, answer.Code)
		}
	}
}

// TestPagesHoldNothingThatTheirPolicyForbids keeps inline code, and addresses elsewhere, out.
func TestPagesHoldNothingThatTheirPolicyForbids(t *testing.T) {
	t.Parallel()
	handler := mounted()
	forbidden := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script>|javascript:|https?://|src="//|href="//`)
	references := regexp.MustCompile(`(?:src|href)="(/assets/[^"]*)"`)
	for _, page := range []string{"/", "/docs/api", "/account/set-password"} {
		body := get(handler, page).Body.String()
		if found := forbidden.FindString(body); found != "" {
			t.Errorf("%s holds %q", page, found)
		}
		for _, match := range references.FindAllStringSubmatch(body, -1) {
			if answer := get(handler, match[1]); answer.Code != http.StatusOK {
				t.Errorf("%s refers to %s: %d", page, match[1], answer.Code)
			}
		}
	}
}

func TestVendoredFilesAreTheOnesThatVENDOREDNames(t *testing.T) {
	t.Parallel()
	note, err := os.ReadFile("third_party/swagger-ui/VENDORED.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"swagger-ui-bundle.js", "swagger-ui.css"} {
		content, err := os.ReadFile("third_party/swagger-ui/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if !strings.Contains(string(note), name+" "+hex.EncodeToString(sum[:])) {
			t.Errorf("%s is not the file that VENDORED.md names", name)
		}
	}
}
