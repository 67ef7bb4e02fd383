package inspect

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// language is what a text is written in; languages combine with |.
type language uint8

const (
	script language = 1 << iota
	markup
	styles
	data
)

// kind is how files of an extension are served, and what to look for in them.
type kind struct {
	media    string
	language language // none is not text that a browser runs
}

// kinds are the extensions that are served.
var kinds = map[string]kind{
	".js":          {"text/javascript; charset=utf-8", script},
	".mjs":         {"text/javascript; charset=utf-8", script},
	".html":        {"text/html; charset=utf-8", markup},
	".svg":         {"image/svg+xml", markup},
	".css":         {"text/css; charset=utf-8", styles},
	".json":        {"application/json", data},
	".webmanifest": {"application/manifest+json", data},
	".map":         {"application/json", 0},
	".txt":         {"text/plain; charset=utf-8", 0},
	".md":          {"text/plain; charset=utf-8", 0},
	".wasm":        {"application/wasm", 0},
	".png":         {"image/png", 0},
	".jpg":         {"image/jpeg", 0},
	".jpeg":        {"image/jpeg", 0},
	".gif":         {"image/gif", 0},
	".webp":        {"image/webp", 0},
	".avif":        {"image/avif", 0},
	".ico":         {"image/x-icon", 0},
	".woff":        {"font/woff", 0},
	".woff2":       {"font/woff2", 0},
	".ttf":         {"font/ttf", 0},
}

func extension(file string) string { return strings.ToLower(path.Ext(file)) }

func extensions() string { return strings.Join(slices.Sorted(maps.Keys(kinds)), " ") }

// MediaType is what a file is served as, by its extension.
func MediaType(file string) string {
	if kind, known := kinds[extension(file)]; known {
		return kind.media
	}
	return "application/octet-stream"
}
