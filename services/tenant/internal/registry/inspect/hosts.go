package inspect

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/manifest"
)

// address is a host after two slashes: with the slashes escaped as JSON may
// write them, and whatever user and port stand there.
var address = regexp.MustCompile(`^(?:[^\s"'\x60<>\\/?#()@]*@)?(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)`)

// names are hosts that stand in texts as names of things, and that nothing is
// fetched from, with the paths where they do.
var names = []string{"www.w3.org/1998/", "www.w3.org/1999/", "www.w3.org/2000/", "www.w3.org/xml/", "json-schema.org/draft"}

// hosts finds the hosts that a text names, and holds them against those that
// the manifest declares.
func (f *file) hosts() {
	told, computed := map[string]bool{}, 0
	f.addresses(func(at int, scheme, rest string) {
		match := address.FindStringSubmatch(rest)
		switch {
		case match == nil && scheme != "" && computed < maxRepeats:
			computed++
			f.at(at, "egress", manifest.Warning, "a host that is put together at run time is not among those declared: name the host")
			return
		case match == nil || told[match[1]] || slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(plain(rest), name) }):
			return
		}
		host := match[1]
		if scheme == "" && !strings.Contains(host, ".") {
			return // two slashes are a comment more often than an address
		}
		told[host] = true
		declared := slices.IndexFunc(f.manifest.Egress, func(pattern string) bool { return manifest.HostMatches(pattern, host) })
		if declared < 0 {
			f.at(at, "egress", manifest.Error, "%s is not among the hosts of egress: declare it there, so that tenants consent to it, or remove it", host)
			return
		}
		for _, pattern := range f.manifest.Egress {
			if manifest.HostMatches(pattern, host) {
				f.used[pattern] = true
			}
		}
	})
}

func plain(text string) string { return strings.ReplaceAll(text, `\/`, "/") }

var schemes = []string{"https:", "http:", "wss:", "ws:"}

// addresses calls found for every place where two slashes begin an address:
// after a scheme, or after what begins a text.
func (f *file) addresses(found func(at int, scheme, rest string)) {
	for from, hits := 0, 0; ; {
		next := bytes.IndexByte(f.lower[from:], '/')
		if next < 0 {
			return
		}
		at := from + next
		from = at + 1
		rest := f.lower[from:min(from+window, len(f.lower))]
		switch {
		case bytes.HasPrefix(rest, []byte("/")):
			rest = rest[1:]
		case bytes.HasPrefix(rest, []byte(`\/`)):
			rest = rest[2:]
		default:
			continue
		}
		before := bytes.TrimSuffix(f.lower[:at], []byte(`\`))
		scheme := ""
		for _, s := range schemes {
			if bytes.HasSuffix(before, []byte(s)) {
				scheme = s
				break
			}
		}
		if scheme == "" && !quote(lastOf(before)) && !bytes.HasSuffix(before, []byte("(")) && !bytes.HasSuffix(before, []byte("=")) {
			continue
		}
		if hits++; hits > maxHits {
			f.at(at, "egress", manifest.Error, "there are more addresses here than can be looked at")
			return
		}
		for len(rest) > 0 && (rest[0] == '/' || rest[0] == '\\') { // browsers pass over more of them
			rest = rest[1:]
		}
		found(max(at-len(scheme), 0), scheme, string(rest))
	}
}
