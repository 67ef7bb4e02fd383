// Package inspect looks into the files of a module's bundle for what has no
// place there. It finds mistakes and carelessness; who hides what they do on
// purpose is found by a reviewer, and held by the browser's sandbox.
package inspect

import (
	"bytes"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/manifest"
)

const (
	// maxFindings of one bundle: who has more reads the first.
	maxFindings = 200
	// maxRepeats of one pattern are told of one file.
	maxRepeats = 5
)

// Inspection is of one bundle.
type Inspection struct {
	manifest *manifest.Manifest
	found    []contract.Finding
	used     map[string]bool // patterns of egress that a file names a host of
}

// New begins the inspection of a module's bundle.
func New(m *manifest.Manifest) *Inspection {
	return &Inspection{manifest: m, used: map[string]bool{}}
}

// File looks into one file.
func (n *Inspection) File(path string, content []byte) {
	kind, known := kinds[extension(path)]
	if !known {
		n.add("bundle", manifest.Error, path, 0, 0, "no file of this extension is served: use one of %s", extensions())
		return
	}
	if kind.language == 0 {
		return
	}
	if !utf8.Valid(content) {
		n.add("bundle", manifest.Error, path, 0, 0, "is not UTF-8, which %s must be", extension(path))
		return
	}
	f := &file{Inspection: n, path: path, content: content, lower: lower(content), language: kind.language}
	f.invisible()
	f.patterns()
	f.hosts()
}

// Findings are what was found, file by file.
func (n *Inspection) Findings() []contract.Finding {
	if len(n.found) > maxFindings {
		rest := contract.Finding{Code: "too_large", Severity: manifest.Error, Message: "there are more findings in the bundle than are shown: mend these first"}
		return append(slices.Clone(n.found[:maxFindings-1]), rest)
	}
	return n.found
}

// Unused are the hosts that the manifest declares and no file names.
func (n *Inspection) Unused() (hosts []string) {
	for _, host := range n.manifest.Egress {
		if !n.used[host] {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func (n *Inspection) add(code, severity, path string, line, column int, format string, args ...any) {
	if len(n.found) <= maxFindings {
		n.found = append(n.found, contract.Finding{
			Code: code, Severity: severity, Path: path, Line: line, Column: column, Message: fmt.Sprintf(format, args...),
		})
	}
}

// file is one of text.
type file struct {
	*Inspection
	path     string
	content  []byte
	lower    []byte // content, its ASCII letters in lower case
	language language
}

func (f *file) at(offset int, code, severity, format string, args ...any) {
	if len(f.found) > maxFindings {
		return
	}
	before := f.content[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	f.add(code, severity, f.path, line, column, format, args...)
}

// invisible finds characters that make code look like other code.
func (f *file) invisible() {
	told := 0
	for offset, r := range string(f.content) {
		if r < utf8.RuneSelf || !unicode.Is(unicode.Bidi_Control, r) {
			continue
		}
		f.at(offset, "forbidden_pattern", manifest.Error, "the invisible character U+%04X makes code look like other code: remove or escape it", r)
		if told++; told == maxRepeats {
			return
		}
	}
}

// lower makes ASCII letters small; offsets stay.
func lower(content []byte) []byte {
	small := bytes.Clone(content)
	for i, c := range small {
		if 'A' <= c && c <= 'Z' {
			small[i] = c + 'a' - 'A'
		}
	}
	return small
}
