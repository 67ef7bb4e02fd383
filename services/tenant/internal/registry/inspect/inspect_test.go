package inspect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/manifest"
)

// look inspects one file of a module that declares hosts.
func look(path, content string, egress ...string) []contract.Finding {
	n := New(&manifest.Manifest{Egress: egress})
	n.File(path, []byte(content))
	return n.Findings()
}

// severity is the worst of findings.
func severity(findings []contract.Finding) string {
	worst := ""
	for _, f := range findings {
		if f.Severity == manifest.Error || worst == "" || worst == manifest.Info {
			worst = f.Severity
		}
	}
	return worst
}

func TestWhatHasNoPlaceInABundleIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, content string }{
		{"a.js", "eval('1')"},
		{"a.mjs", "eval\n ('1')"},
		{"a.js", "x=1;eval/* hi */('1')"},
		{"a.js", "(0,eval)('1')"},
		{"a.js", "eval?.('1')"},
		{"a.js", "window['eval']('1')"},
		{"a.js", "new Function('return 1')()"},
		{"a.js", "new  Function (x)"},
		{"a.js", "new window.Function(x)"},
		{"a.js", "Function(`return this`)()"},
		{"a.js", "setTimeout('alert(1)', 5)"},
		{"a.js", "setInterval ( \"x\" )"},
		{"a.js", "document.write('<b>')"},
		{"a.js", "document . writeln(x)"},
		{"a.js", "const c = document.cookie"},
		{"a.js", "document.domain='x'"},
		{"a.js", "navigator.serviceWorker.register('/sw.js')"},
		{"a.js", "importScripts('x.js')"},
		{"a.js", "import 'https://cdn.example.com/x.js'"},
		{"a.js", "import x from \"HTTP://cdn.example.com/x.js\""},
		{"a.js", "import('//cdn.example.com/x.js')"},
		{"a.js", "export * from 'https://cdn.example.com/x.js'"},
		{"a.js", "import('data:text/javascript,alert(1)')"},
		{"a.js", "location = 'javascript:alert(1)'"},
		{"a.js", "parent.document.body"},
		{"a.js", "window.top . location = 'x'"},
		{"a.js", "opener?.eval"},
		{"a.js", "window.parent.localStorage"},
		{"a.js", "const s = '\u202e // admin'"},
		{"a.js", "fetch('https://evil.example.net/x')"},
		{"a.js", "new WebSocket('wss://evil.example.net')"},
		{"a.js", "fetch('//evil.example.net/x')"},
		{"a.js", "fetch('https:\\/\\/evil.example.net')"},
		{"a.js", "fetch('https:////evil.example.net')"},
		{"a.js", "fetch('HTTPS://EVIL.example.net')"},
		{"a.js", "fetch('https://api.example.com@evil.example.net/')"},
		{"a.js", "fetch('http://127.0.0.1:9000/')"},
		{"a.js", "fetch('http://[::1]/')"},
		{"a.js", "fetch('https://api.example.com.evil.net/')"},
		{"a.js", "\xff\xfe"},
		{"a.html", "<script>eval(x)</script>"},
		{"a.html", "<script src=https://evil.example.net/x.js></script>"},
		{"a.html", "<SCRIPT async\n SRC='//evil.example.net/x.js'>"},
		{"a.html", "<script src='data:text/javascript,1'>"},
		{"a.html", "<body onload=alert(1)>"},
		{"a.html", "<img/onerror = 'x'>"},
		{"a.html", "<a title=\"x\"ONCLICK='x'>"},
		{"a.html", "<a href=' JavaScript:alert(1)'>"},
		{"a.html", "<base href=/>"},
		{"a.html", "<meta http-equiv=\"refresh\" content=0>"},
		{"a.html", "<meta content='x' http-equiv=Content-Security-Policy>"},
		{"a.html", "<object data=x>"},
		{"a.html", "<embed src=x>"},
		{"a.html", "<iframe srcdoc='x'>"},
		{"a.html", "<a href=https://evil.example.net>"},
		{"a.svg", "<svg onload='x'/>"},
		{"a.svg", "<svg><script href='//evil.example.net/x.js'/></svg>"},
		{"a.svg", "<svg><script xlink:href='https://evil.example.net/x.js'/></svg>"},
		{"a.css", "@import url(//evil.example.net/x.css);"},
		{"a.css", "@IMPORT 'https://evil.example.net/x.css';"},
		{"a.css", "a { background: url(https://evil.example.net/x.png) }"},
		{"a.css", "a { width: expression(alert(1)) }"},
		{"a.css", "a { background: url(javascript:alert(1)) }"},
		{"a.json", `{"x": "<script>"}`},
		{"a.json", `{"x": "javascript:alert(1)"}`},
		{"a.json", `{"x": "https:\/\/evil.example.net"}`},
		{"a.exe", "MZ"},
		{"a", ""},
		{"a.JS", "eval('1')"},
		{"a.htm", ""},
	} {
		require.Equal(t, manifest.Error, severity(look(c.path, c.content, "api.example.com")), "%s: %q", c.path, c.content)
	}
}

func TestWhatAReviewerIsToLookAtIsAWarning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, content string }{
		{"a.js", "localStorage.x = 1"},
		{"a.js", "window.sessionStorage"},
		{"a.js", "indexedDB.open('x')"},
		{"a.js", "fetch('https://' + host)"},
		{"a.js", "fetch(`https://${host}/`)"},
		{"a.html", "<iframe src=b.html>"},
		{"a.svg", "<svg><foreignObject/></svg>"},
	} {
		require.Equal(t, manifest.Warning, severity(look(c.path, c.content)), "%s: %q", c.path, c.content)
	}
}

func TestWhatModulesAreMadeOfIsFine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, content string }{
		{"a.js", "import { x } from './b.js'\nimport('./c.js')\nimport.meta.url\n"},
		{"a.js", "evaluate(1); medieval(); const evaluation = 1; my_eval(2); $eval(3)"},
		{"a.js", "function Function2() {} ; x instanceof Function; typeof f === 'function'"},
		{"a.js", "setTimeout(() => 1, 5); setTimeout(f, 5)"},
		{"a.js", "// a comment // another\n/* x */ a / b // c.d\nconst re = /^https?:/"},
		{"a.js", "document.createElement('a'); document.body"},
		{"a.js", "documents.writer; parents.document; node.parentElement; topology.location"},
		{"a.js", "document.createElementNS('http://www.w3.org/2000/svg', 'svg')"},
		{"a.js", "fetch('https://api.example.com:8443/x?y#z'); new WebSocket('wss://api.example.com')"},
		{"a.js", "fetch('https://a.b.cdn.example.com/')"},
		{"a.js", "languages = { javascript: 1 }"},
		{"a.html", "<!doctype html><title>x</title><script type=module src=main.js></script><p>once = twice</p>"},
		{"a.svg", `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><path d="M0 0"/></svg>`},
		{"a.css", "@import './b.css'; a { background: url(b.png); transition: x }"},
		{"a.json", `{"$schema": "https://json-schema.org/draft/2020-12/schema", "a": "b"}`},
		{"a.map", `{"sources": ["https://evil.example.net"], "sourcesContent": ["eval('1')"]}`},
		{"a.png", "\x89PNG eval('1')"},
		{"a.txt", "\xff"},
		{"a.woff2", ""},
	} {
		require.Empty(t, look(c.path, c.content, "api.example.com", "*.cdn.example.com"), "%s: %q", c.path, c.content)
	}
}

func TestAFindingNamesItsPlace(t *testing.T) {
	t.Parallel()
	found := look("a.js", "// ü\nconst ü = 1; eval('x')\n\nfetch('https://evil.example.net/')")
	require.Len(t, found, 2)
	require.Equal(t, []any{"forbidden_pattern", "a.js", 2, 14}, []any{found[0].Code, found[0].Path, found[0].Line, found[0].Column})
	require.Equal(t, []any{"egress", "a.js", 4, 8}, []any{found[1].Code, found[1].Path, found[1].Line, found[1].Column})
	require.Contains(t, found[1].Message, "evil.example.net")
}

func TestDeclaredHostsThatNobodyNamesAreTold(t *testing.T) {
	t.Parallel()
	n := New(&manifest.Manifest{Egress: []string{"a.example.com", "*.b.example.com", "c.example.com"}})
	n.File("a.js", []byte("fetch('https://a.example.com')"))
	n.File("b.css", []byte("a{b:url(https://x.b.example.com/i.png)}"))
	require.Empty(t, n.Findings())
	require.Equal(t, []string{"c.example.com"}, n.Unused())
}

func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	require.Len(t, look("a.js", strings.Repeat("eval('x')\n", 1000)), maxRepeats)
	n := New(&manifest.Manifest{})
	for i := range 500 {
		n.File(fmt.Sprintf("f%d.js", i), []byte("eval('x')"))
	}
	require.Len(t, n.Findings(), maxFindings)
	require.Equal(t, "too_large", n.Findings()[maxFindings-1].Code)
}

// Whatever a file is made of, to look at it takes a moment: some tenths of a
// second for 8 MiB, so that 128 KiB are done in time even under the race detector.
func TestNoFileTakesLong(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{
		"eval ", "new ", "on", " on", "<script ", "//", `\/\/`, "https://", "'//", "document.", "import(", "javascript", "parent.", "\u202d", "a", "\n", "/", "<meta ",
		" onaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "eval/*                                              ", "<script aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		content := strings.Repeat(unit, (128<<10)/len(unit))
		for _, path := range []string{"a.js", "a.html", "a.css", "a.json"} {
			start := time.Now()
			look(path, content)
			require.Less(t, time.Since(start), 15*time.Second, "%s of %q", path, unit)
			if took := time.Since(start); took > time.Second {
				t.Logf("%s of %q: %s", path, unit, took)
			}
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("a.js", "fetch('https://x')")
	f.Add("a.html", "<a onclick=x>")
	f.Fuzz(func(t *testing.T, path, content string) {
		for _, found := range look(path, content, "*.example.com") {
			if found.Severity == "" || found.Code == "" || found.Message == "" || found.Line < 0 || found.Line > strings.Count(content, "\n")+1 {
				t.Fatalf("%+v", found)
			}
		}
	})
}
