// Package web holds what the platform serves to browsers: the landing page, the API reference and the
// page that sets a password, embedded, complete, and fetching nothing from anywhere else.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

const (
	// PagePolicy is the content security policy of every page but the API reference.
	PagePolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
	// ReferencePolicy is the API reference's: Swagger UI sets style attributes and draws its icons
	// from data URLs.
	ReferencePolicy = PagePolicy + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)

//go:embed index.html docs/api.html account/set-password.html assets third_party/swagger-ui/*.js third_party/swagger-ui/*.css
var files embed.FS

// contentTypes by file extension: mime.TypeByExtension depends on the machine.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Patterns returns what Handler serves, in ServeMux's notation, to mount it beside other handlers.
func Patterns() []string {
	return []string{"GET /{$}", "GET /docs/api", "GET /account/set-password", "GET /assets/"}
}

// Handler serves the pages and their assets, and 404 for every other path. Answers carry an ETag
// over their content and are revalidated at each use, so that a new release shows at once.
// It is safe for concurrent use and expects to be mounted at the root: see Patterns.
func Handler() http.Handler {
	served := make(map[string]asset)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		served[route(name)] = newAsset(name, content)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("web: embedded files: %v", err))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := served[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		a.serve(w, r)
	})
}

// route says at which path an embedded file is served.
func route(name string) string {
	switch {
	case name == "index.html":
		return "/"
	case strings.HasPrefix(name, "third_party/"):
		return "/assets/" + strings.TrimPrefix(name, "third_party/")
	default:
		return "/" + strings.TrimSuffix(name, ".html")
	}
}

// asset is one file with the headers that never change.
type asset struct {
	content []byte
	kind    string
	etag    string
	policy  string
}

func newAsset(name string, content []byte) asset {
	policy := PagePolicy
	if name == "docs/api.html" {
		policy = ReferencePolicy
	}
	sum := sha256.Sum256(content)
	return asset{
		content: content,
		kind:    contentTypes[path.Ext(name)],
		etag:    `"` + hex.EncodeToString(sum[:16]) + `"`,
		policy:  policy,
	}
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", a.kind)
	header.Set("ETag", a.etag)
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Security-Policy", a.policy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}
