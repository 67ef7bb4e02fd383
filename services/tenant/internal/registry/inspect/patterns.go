package inspect

import (
	"bytes"
	"regexp"

	"github.com/buildify/core/pkg/manifest"
)

// pattern is something that has no place in a bundle. Where key stands in a
// text, the text from there on is held against form, and what is before key
// against before.
type pattern struct {
	in     language
	key    string // in lower case where the text's case does not count
	form   *regexp.Regexp
	before func(last byte) bool // nil is anything
	small  bool                 // the text's case does not count
	severe string
	says   string
}

const (
	// window is how much of a text a form looks at.
	window = 300
	// maxHits of one key in one file are looked at: no file that is what it
	// says has more.
	maxHits = 20_000
)

// patterns is the one table of what is looked for, beside hosts: see hosts.go.
// docs/registry.md shows it.
var patterns = []pattern{
	{script | markup, "eval", form(`eval` + gap + `\(`), wordStart, false, manifest.Error,
		"eval runs text as code: call the code itself"},
	{script | markup, "eval", form(`eval["'\x60]`), quote, false, manifest.Error,
		"eval by its name runs text as code: call the code itself"},
	{script | markup, "eval", form(`eval\s*\)\s*\(`), wordStart, false, manifest.Error,
		"eval runs text as code: call the code itself"},
	{script | markup, "Function", form(`Function` + gap + `\(\s*["'\x60]`), wordStart, false, manifest.Error,
		"Function makes code of text: write a function"},
	{script | markup, "new", form(`new\s+(?:(?:globalThis|window|self)\s*\.\s*)?Function\b`), wordStart, false, manifest.Error,
		"new Function makes code of text: write a function"},
	{script | markup, "set", form(`set(?:Timeout|Interval)` + gap + `\(\s*["'\x60]`), wordStart, false, manifest.Error,
		"a timer with text runs it as code: give it a function"},
	{script | markup, "document", form(`document\s*\.\s*writ(?:e|eln)\b`), wordStart, false, manifest.Error,
		"document.write replaces the page: make elements"},
	{script | markup, "document", form(`document\s*\.\s*cookie\b`), wordStart, false, manifest.Error,
		"cookies are not a module's: keep settings on the platform"},
	{script | markup, "document", form(`document\s*\.\s*domain\b`), wordStart, false, manifest.Error,
		"document.domain opens the page to others"},
	{script | markup, "serviceWorker", form(`serviceWorker\b`), wordStart, false, manifest.Error,
		"a service worker would stand between the platform and its pages"},
	{script | markup, "importScripts", form(`importScripts` + gap + `\(`), wordStart, false, manifest.Error,
		"importScripts loads code that was not reviewed: import files of the bundle"},
	{script | markup, "import", form(`import\s*(?:\(\s*)?["'\x60]\s*(?:https?:)?//`), wordStart, true, manifest.Error,
		"code from elsewhere is not reviewed: put it into the bundle"},
	{script | markup, "from", form(`from\s*["'\x60]\s*(?:https?:)?//`), wordStart, true, manifest.Error,
		"code from elsewhere is not reviewed: put it into the bundle"},
	{script | markup, "import", form(`import\s*\(\s*["'\x60]\s*(?:data|blob):`), wordStart, true, manifest.Error,
		"code made at run time is not reviewed: import files of the bundle"},
	{script | markup, "javascript:", form(`javascript:`), quote, true, manifest.Error,
		"a javascript: address runs text as code"},
	{script | markup, "parent", reach, wordStart, false, manifest.Error, reaches},
	{script | markup, "top", reach, wordStart, false, manifest.Error, reaches},
	{script | markup, "opener", reach, wordStart, false, manifest.Error, reaches},
	{script | markup, "frameElement", reach, wordStart, false, manifest.Error, reaches},
	{script | markup, "localStorage", form(`localStorage\b`), wordStart, false, manifest.Warning,
		"the browser's storage is not kept apart by tenant and person: keep settings on the platform"},
	{script | markup, "sessionStorage", form(`sessionStorage\b`), wordStart, false, manifest.Warning,
		"the browser's storage is not kept apart by tenant and person: keep settings on the platform"},
	{script | markup, "indexedDB", form(`indexedDB\b`), wordStart, false, manifest.Warning,
		"the browser's storage is not kept apart by tenant and person: keep settings on the platform"},

	{markup, "on", form(`on[a-z]{3,30}\s*=`), attribute, true, manifest.Error,
		"an event handler in an attribute is code in a page: add a listener from a script of the bundle"},
	{markup, "javascript", form(`javascript\s*:`), nil, true, manifest.Error,
		"a javascript: address runs text as code"},
	{markup, "<script", form(`<script[^>]*\s(?:src|(?:xlink:)?href)\s*=\s*["']?\s*(?:https?:|data:|blob:)?//`), nil, true, manifest.Error,
		"a script from elsewhere is not reviewed: put it into the bundle"},
	{markup, "<script", form(`<script[^>]*\s(?:src|(?:xlink:)?href)\s*=\s*["']?\s*(?:data|blob):`), nil, true, manifest.Error,
		"a script in an address is not reviewed: put it into the bundle"},
	{markup, "srcdoc", form(`srcdoc\s*=`), attribute, true, manifest.Error,
		"a page in an attribute is not reviewed as one: put it into the bundle"},
	{markup, "<base", form(`<base\b`), nil, true, manifest.Error,
		"a base makes addresses mean others"},
	{markup, "<meta", form(`<meta[^>]*http-equiv\s*=\s*["']?\s*(?:refresh|set-cookie|content-security-policy)`), nil, true, manifest.Error,
		"what the platform's headers say is not a page's to change"},
	{markup, "<object", form(`<object\b`), nil, true, manifest.Error, "plug-ins are not shown"},
	{markup, "<embed", form(`<embed\b`), nil, true, manifest.Error, "plug-ins are not shown"},
	{markup, "<iframe", form(`<iframe\b`), nil, true, manifest.Warning, "a frame shows what a reviewer cannot see"},
	{markup, "<foreignobject", form(`<foreignobject\b`), nil, true, manifest.Warning, "an image with a page in it is a page"},

	{markup | styles, "@import", form(`@import\s*(?:url\(\s*)?["']?\s*(?:https?:)?//`), nil, true, manifest.Error,
		"styles from elsewhere are not reviewed: put them into the bundle"},
	{markup | styles, "expression", form(`expression\s*\(`), wordStart, true, manifest.Error,
		"an expression runs text as code"},
	{markup | styles, "-moz-binding", form(`-moz-binding\s*:`), nil, true, manifest.Error,
		"a binding runs code from elsewhere"},
	{styles, "javascript", form(`javascript\s*:`), nil, true, manifest.Error,
		"a javascript: address runs text as code"},

	{data, "<script", form(`<script\b`), nil, true, manifest.Error,
		"has code for a page: keep code in scripts"},
	{data, "javascript:", form(`javascript:`), quote, true, manifest.Error,
		"a javascript: address runs text as code"},
}

const (
	// gap is what may be between a name and its bracket.
	gap     = `\s*(?:\?\.)?\s*(?:/\*[^*]*\*/\s*)?`
	reaches = "reaches into the platform's page: use the messages that it offers"
)

var reach = form(`(?:parent|top|opener|frameElement)\s*(?:\?\.|\.)\s*(?:document|localStorage|sessionStorage|indexedDB|location|eval|fetch|buildify)\b`)

func form(text string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + text + `)`) }

func wordStart(last byte) bool {
	return last != '_' && last != '$' && last != '-' && (last < '0' || last > '9') && (last < 'A' || last > 'Z') && (last < 'a' || last > 'z') && last < 0x80
}

func quote(last byte) bool { return last == '"' || last == '\'' || last == '`' }

// attribute is what may be before the name of one.
func attribute(last byte) bool {
	return last == ' ' || last == '\t' || last == '\n' || last == '\r' || last == '\f' || last == '/' || last == '"' || last == '\''
}

func (f *file) patterns() {
	for i := range patterns {
		if p := &patterns[i]; p.in&f.language != 0 {
			f.pattern(p)
		}
	}
}

func (f *file) pattern(p *pattern) {
	text, told, hits := f.content, 0, 0
	if p.small {
		text = f.lower
	}
	for from := 0; ; {
		next := bytes.Index(text[from:], []byte(p.key))
		if next < 0 {
			return
		}
		at := from + next
		from = at + len(p.key)
		if p.before != nil && !p.before(lastOf(text[:at])) {
			continue
		}
		if hits++; hits > maxHits {
			f.at(at, "forbidden_pattern", manifest.Error, "%q stands here more often than can be looked at", p.key)
			return
		}
		if !p.form.Match(text[at:min(at+window, len(text))]) {
			continue
		}
		f.at(at, "forbidden_pattern", p.severe, "%s", p.says)
		if told++; told == maxRepeats {
			return
		}
	}
}

// lastOf is the byte before a place; a space at the beginning.
func lastOf(text []byte) byte {
	if len(text) == 0 {
		return ' '
	}
	return text[len(text)-1]
}
