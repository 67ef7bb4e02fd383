package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/Masterminds/semver/v3"

	"github.com/buildify/core/pkg/contract"
)

// maxFindings of one manifest: who has more reads the first.
const maxFindings = 200

// checker collects what is wrong with a manifest.
type checker struct {
	source *source
	m      *Manifest
	core   string
	found  []spot
	errors int
	// long says that a list is longer than allowed: no more is looked at.
	long   bool
	broken []string // pointers of values that are wrong in form: no more is said of them
	// origins is where in the source a converted value comes from.
	origins map[string]string
}

// newChecker goes on from what reading a text has found.
func newChecker(source *source, found []spot) *checker {
	c := &checker{source: source, found: found, errors: len(found)}
	for _, f := range found {
		if f.Path != "" {
			c.broken = append(c.broken, f.Path)
		}
	}
	return c
}

func (c *checker) fail(code, at, format string, args ...any) {
	c.add(Error, code, at, false, format, args)
}

func (c *checker) failKey(code, at, format string, args ...any) {
	c.add(Error, code, at, true, format, args)
}

func (c *checker) warn(code, at, format string, args ...any) {
	c.add(Warning, code, at, false, format, args)
}

func (c *checker) note(code, at, format string, args ...any) {
	c.add(Info, code, at, false, format, args)
}

// add places a finding, unless one has said that the value is wrong in form.
func (c *checker) add(severity, code, at string, key bool, format string, args []any) {
	if c.isBroken(at) || !c.room(severity) {
		return
	}
	if severity == Error {
		c.broken = append(c.broken, at)
	}
	c.put(severity, code, at, c.origin(at), key, format, args)
}

// failSource tells of a value by where it stands in the source.
func (c *checker) failSource(code, at, format string, args ...any) {
	if c.room(Error) {
		c.put(Error, code, at, at, false, format, args)
	}
}

// room reports whether another finding is wanted: some more than are shown.
func (c *checker) room(severity string) bool {
	if severity == Error {
		return c.errors <= maxFindings
	}
	return len(c.found)-c.errors <= 2*maxFindings
}

// put adds a finding about the value at a place in the source.
func (c *checker) put(severity, code, at, from string, key bool, format string, args []any) {
	f := spot{Finding: Finding{Code: code, Severity: severity, Path: cut(at, 500), Message: cut(fmt.Sprintf(format, args...), 2000)}}
	if n, there := c.source.find(from); n != nil {
		f.offset = n.start
		if key && there && n.key >= 0 {
			f.offset = n.key
		}
	}
	c.found = append(c.found, f)
	if severity == Error {
		c.errors++
	}
}

// isBroken reports whether a value, or one around it, has an error already.
func (c *checker) isBroken(at string) bool {
	return slices.ContainsFunc(c.broken, func(wrong string) bool {
		return at == wrong || strings.HasPrefix(at, wrong) && at[len(wrong)] == '/'
	})
}

// origin is where the value at a pointer stands in the source.
func (c *checker) origin(at string) string {
	for end := len(at); c.origins != nil; end = strings.LastIndexByte(at[:end], '/') {
		if from, ok := c.origins[at[:end]]; ok {
			return from + at[end:]
		}
		if end <= 0 {
			return ""
		}
	}
	return at
}

// sorted are the findings by their places. Of too many, errors are shown first.
func (c *checker) sorted() Findings {
	byPlace := func(a, b spot) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	}
	sorted := slices.Clone(c.found)
	slices.SortStableFunc(sorted, byPlace)
	sorted = slices.Compact(sorted)
	if len(sorted) > maxFindings {
		rank := []string{Error, Warning, Info}
		slices.SortStableFunc(sorted, func(a, b spot) int {
			return cmp.Compare(slices.Index(rank, a.Severity), slices.Index(rank, b.Severity))
		})
		sorted = sorted[:maxFindings]
		sorted[maxFindings-1] = spot{Finding: Finding{Code: "too_many", Severity: sorted[maxFindings-1].Severity, Message: "there are more findings than are shown: mend these first"}}
		slices.SortStableFunc(sorted, byPlace)
	}
	shown := make(Findings, len(sorted))
	for i, f := range sorted {
		shown[i] = f.Finding
		if c.source.data != nil {
			shown[i].Line, shown[i].Column = c.source.place(f.offset)
		}
	}
	return shown
}

// cut shortens a text to a number of bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}

// check finds what the schema cannot say.
func (c *checker) check() {
	c.texts()
	if c.long {
		return
	}
	c.identity()
	c.requires()
	c.permissions()
	c.scopes()
	c.bundle()
	c.pages()
	c.menu()
	c.settings(c.m.Settings, "/settings")
	c.events()
	c.backend()
	c.egress()
	c.jobs()
	c.hooks()
	c.messages()
}

func (c *checker) identity() {
	m := c.m
	if contract.ReservedModule(m.ID) {
		c.fail("reserved", "/id", "%s is a name of the platform: choose another", quoted(m.ID))
	}
	if _, err := semver.StrictNewVersion(m.Version); err != nil && m.Version != "" {
		c.fail("schema", "/version", "%s is no semantic version: write major.minor.patch, such as 1.4.0", quoted(m.Version))
	}
	if m.License == "" {
		c.warn("license", "/license", `license is missing: add an SPDX expression such as "Apache-2.0", or "LicenseRef-Proprietary"`)
	}
	if c.isRange("/compat/core", m.Compat.Core) && c.core != "" {
		if err := m.CompatibleWith(c.core); err != nil {
			c.fail("compat", "/compat/core", "%s: widen the range if the module runs on it", err)
		}
	}
}

func (c *checker) isRange(at, text string) bool {
	if text == "" {
		return false // missing, which the schema has found
	}
	if _, err := semver.NewConstraint(text); err != nil {
		c.fail("compat", at, "%s is no range of versions: write one such as ^1.2, ~1.4.0 or >=1.2 <3", quoted(text))
		return false
	}
	return true
}

func (c *checker) requires() {
	seen := unique{c, "module", map[string]string{}}
	for i, r := range c.m.Requires {
		at := fmt.Sprintf("/requires/%d", i)
		seen.add(at+"/module", r.Module)
		switch {
		case r.Module == c.m.ID:
			c.fail("cycle", at+"/module", "a module does not require itself: remove it")
		case contract.ReservedModule(r.Module):
			c.fail("reserved", at+"/module", "%s is no module but the platform, which is always there: say compat.core instead", quoted(r.Module))
		}
		c.isRange(at+"/range", r.Range)
	}
}

// unique finds values that stand twice in a list.
type unique struct {
	*checker
	what string
	seen map[string]string
}

func (u unique) add(at, value string) {
	if value == "" {
		return
	}
	if first, twice := u.seen[value]; twice && u.room(Error) {
		line := 0
		if n, _ := u.source.find(u.origin(first)); n != nil {
			line, _ = u.source.place(n.start)
		}
		u.fail("duplicate", at, "the %s %s stands twice, first on line %d: remove or rename one", u.what, quoted(value), line)
		return
	}
	u.seen[value] = at
}

// forbidden are parts of texts that have no place in a manifest, in lower case.
var forbidden = []string{"<script", "javascript:", "data:text/html", "vbscript:"}

// texts looks at every string for what would deceive a reader, or run.
func (c *checker) texts() {
	c.source.root.walk(nil, func(way []string, n *node) {
		if c.source.data[n.start] == '"' {
			c.text(way, n)
		}
	})
}

func (c *checker) text(way []string, n *node) {
	s, _ := decode(c.source.data[n.start:n.end]).(string)
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			c.failSource("forbidden_pattern", pointer(way...), "has the invisible character U+%04X, which makes text look like other text: remove it", r)
			return
		}
	}
	lower := strings.ToLower(s)
	for _, part := range forbidden {
		if strings.Contains(lower, part) {
			c.failSource("forbidden_pattern", pointer(way...), "has %s, which a browser might run: remove it", part)
			return
		}
	}
}
