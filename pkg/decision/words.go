package decision

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/buildify/core/pkg/contract"
)

// word is a string that the process knows by number.
type word struct {
	text  string
	index uint32
	// namespace is, for a permission code, the number of its first segment.
	namespace uint32
}

// words numbers strings, and never forgets one. Reading never locks: the table
// is probed while words are added, and replaced when it is half full.
type words struct {
	mu    sync.Mutex
	table atomic.Pointer[[]atomic.Pointer[word]]
	all   atomic.Pointer[[]*word]
}

var seed = maphash.MakeSeed()

func (w *words) find(text string) *word {
	table := w.table.Load()
	if table == nil {
		return nil
	}
	mask := uint64(len(*table) - 1)
	for at := maphash.String(seed, text); ; at++ {
		known := (*table)[at&mask].Load()
		if known == nil || known.text == text {
			return known
		}
	}
}

// list returns the words by number.
func (w *words) list() []*word {
	if all := w.all.Load(); all != nil {
		return *all
	}
	return nil
}

// add returns the word of a text, a new one with number and namespace when there
// is none and fewer than limit are known; nil otherwise.
func (w *words) add(text string, limit int, namespace func() uint32) *word {
	if known := w.find(text); known != nil {
		return known
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.find(text); known != nil {
		return known
	}
	all := w.list()
	if len(all) >= limit {
		return nil
	}
	added := &word{text: strings.Clone(text), index: uint32(len(all))}
	if namespace != nil {
		added.namespace = namespace()
	}
	all = append(all, added) // readers see only what their own header covers
	if table := w.table.Load(); table == nil || 2*len(all) > len(*table) {
		size := 64
		for size < 4*len(all) {
			size *= 2
		}
		grown := make([]atomic.Pointer[word], size)
		for _, known := range all {
			seat(grown, known)
		}
		w.table.Store(&grown)
	} else {
		seat(*table, added)
	}
	w.all.Store(&all)
	return added
}

func seat(table []atomic.Pointer[word], added *word) {
	mask := uint64(len(table) - 1)
	at := maphash.String(seed, added.text)
	for table[at&mask].Load() != nil {
		at++
	}
	table[at&mask].Store(added)
}

// The codes that wildcards are expanded over, and the first segments that
// decide whether a code is in effect; the platform's come first.
var (
	codes      words
	namespaces = func() *words {
		w := &words{}
		for _, namespace := range contract.PlatformNamespaces() {
			w.add(namespace, unlimited, nil)
		}
		return w
	}()
	platform = len(namespaces.list())
)

const (
	// roleCodes bounds how many codes roles bring into the table: tenants write
	// roles, and what they invent must not fill the process's memory. Codes
	// beyond are decided by search instead of by number.
	roleCodes = 1 << 14
	unlimited = 1 << 30

	// bitted is how many namespaces a policy has bits for. Modules bring no more
	// into the table, for whoever asks may suppose some that there are not: those
	// beyond are found among the policy's modules.
	bitted   = 64 * bitWords
	bitWords = 4
)

// Declare makes codes known to the whole process, so that wildcards are
// expanded over them ahead of questions. Codes that were not declared and stand
// in no role are decided as well, by matching patterns.
func Declare(codes ...string) {
	for _, code := range codes {
		if concrete(code) {
			learn(code, unlimited)
		}
	}
}

func learn(code string, limit int) *word {
	return codes.add(code, limit, func() uint32 { return namespaces.add(contract.PermissionNamespace(code), unlimited, nil).index })
}
