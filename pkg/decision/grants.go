package decision

import (
	"crypto/sha256"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"weak"
)

// grants is a role's list of codes, compiled. All roles of the process with the
// same codes share one.
type grants struct {
	codes     []string // sorted, each once
	wildcards []string // those of codes
	expanded  atomic.Pointer[expansion]
}

// expansion says for known codes by number whether they are granted. It grows
// when a code is asked for that became known later.
type expansion struct {
	known uint32    // codes with smaller numbers are decided by bits
	base  uint32    // the number of the first word of bits
	few   [6]uint64 // the first words
	more  []uint64  // the words after
}

func (x *expansion) has(index uint32) bool {
	at := index>>6 - x.base // wraps to a large number before the first word
	if at < uint32(len(x.few)) {
		return x.few[at]>>(index&63)&1 != 0
	}
	at -= uint32(len(x.few))
	return at < uint32(len(x.more)) && x.more[at]>>(index&63)&1 != 0
}

// has reports whether a code is granted; known is its word, if it has one.
func (g *grants) has(known *word, code string) bool {
	if known == nil {
		return g.match(code) != ""
	}
	x := g.expanded.Load()
	return x.has(known.index) || known.index >= x.known && g.expand().has(known.index)
}

// match returns the granted code that matches, itself before wildcards.
func (g *grants) match(code string) string {
	if _, found := slices.BinarySearch(g.codes, code); found {
		return code
	}
	for _, w := range g.wildcards {
		if matches(w, code) {
			return w
		}
	}
	return ""
}

// expand decides all codes that are known by now.
func (g *grants) expand() *expansion {
	for {
		x := g.expanded.Load()
		all := codes.list()
		if int(x.known) >= len(all) {
			return x
		}
		var granted []uint32
		for i, w := range all {
			if x.has(w.index) || i >= int(x.known) && g.match(w.text) != "" {
				granted = append(granted, w.index)
			}
		}
		g.expanded.CompareAndSwap(x, expanded(granted, uint32(len(all))))
	}
}

// expanded is the expansion that grants the codes with these numbers, sorted.
func expanded(granted []uint32, known uint32) *expansion {
	x := &expansion{known: known}
	if len(granted) == 0 {
		return x
	}
	x.base = granted[0] >> 6
	words := make([]uint64, max(len(x.few), int(granted[len(granted)-1]>>6-x.base)+1))
	for _, index := range granted {
		words[index>>6-x.base] |= 1 << (index & 63)
	}
	x.more = fit(words[copy(x.few[:], words):])
	return x
}

var compiled = struct {
	sync.Mutex
	byContent map[[32]byte]weak.Pointer[grants]
}{byContent: map[[32]byte]weak.Pointer[grants]{}}

// compile returns the grants of a role with these codes; malformed ones are
// left out.
func compile(permissions []string) *grants {
	var all []string
	for _, code := range permissions {
		if grantable(code) {
			all = append(all, code)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	key := sha256.Sum256([]byte(strings.Join(all, "\n")))
	compiled.Lock()
	defer compiled.Unlock()
	if g := compiled.byContent[key].Value(); g != nil {
		return g
	}
	g := newGrants(all)
	compiled.byContent[key] = weak.Make(g)
	runtime.AddCleanup(g, forget, key)
	return g
}

// forget is called when no policy holds the grants any more.
func forget(key [32]byte) {
	compiled.Lock()
	defer compiled.Unlock()
	if compiled.byContent[key].Value() == nil {
		delete(compiled.byContent, key)
	}
}

func newGrants(all []string) *grants {
	g := &grants{codes: make([]string, len(all))}
	complete := true
	var own []uint32
	for i, code := range all {
		if wildcard(code) {
			g.codes[i] = strings.Clone(code)
			g.wildcards = append(g.wildcards, g.codes[i])
		} else if known := learn(code, roleCodes); known != nil {
			g.codes[i] = known.text
			own = append(own, known.index)
		} else {
			g.codes[i] = strings.Clone(code)
			complete = false
		}
	}
	g.wildcards = fit(g.wildcards)
	slices.Sort(own)
	known := uint32(0)
	if complete && len(g.wildcards) == 0 {
		known = math.MaxUint32 // no code that becomes known later is granted
	}
	g.expanded.Store(expanded(own, known))
	return g
}

// concerns reports whether one of the codes may match one of the namespace.
func (g *grants) concerns(namespace string) bool {
	return g != nil && slices.ContainsFunc(g.codes, func(code string) bool { return concerns(code, namespace) })
}
