package decision

import (
	"math/bits"
	"slices"
)

// tree is a persistent set, ordered by 64-bit hashes: a radix tree of 32 ways
// whose leaves are short sorted lists. Whoever changes a copy of a tree does so
// under a stamp that nobody used before; nodes of another stamp are copied on
// the way, those of the same are changed in place. So a single change copies a
// path, and a thousand changes copy each node once.
//
//	top ─▶ node ─┬▶ node ─┬▶ leaf [e e e]        5 bits of the hash a level
//	             │        └▶ leaf [e]
//	             └▶ leaf [e e]
type tree[E hashed] struct {
	top   slot[E]
	stamp uint64 // of the edit that may change top.leaf in place
}

// hashed is what a tree holds. Only the upper 25 bits of the hash must differ
// for the tree to be balanced; the rest is for the order.
type hashed interface {
	hash() uint64
	// room is how many entries of this type fit a leaf.
	room() int
}

type slot[E hashed] struct {
	below *node[E]
	leaf  []E
}

type node[E hashed] struct {
	stamp uint64
	owned uint32 // which leaves the stamp's edit may change in place
	slots [ways]slot[E]
}

const (
	ways     = 32
	maxDepth = 5
)

// way is the slot of a node at this depth that the hash leads to.
func way(hash uint64, depth int) uint64 { return hash >> (59 - 5*depth) & (ways - 1) }

// find returns the leaf where entries with this hash are.
func (t *tree[E]) find(hash uint64) []E {
	s := &t.top
	for s.below != nil {
		s = &s.below.slots[hash>>59]
		hash <<= 5
	}
	return s.leaf
}

// near is find with the place in the leaf where the entry would be if hashes
// were evenly spread.
func (t *tree[E]) near(hash uint64) (leaf []E, place int) {
	s := &t.top
	for s.below != nil {
		s = &s.below.slots[hash>>59]
		hash <<= 5
	}
	high, _ := bits.Mul64(hash, uint64(len(s.leaf)))
	return s.leaf, int(high)
}

// own returns the slot of the leaf for this hash, to be changed in place.
func (t *tree[E]) own(stamp, hash uint64) (s *slot[E], depth int) {
	s = &t.top
	fresh := t.stamp == stamp
	t.stamp = stamp
	for s.below != nil {
		n := s.below
		if n.stamp != stamp {
			c := *n
			c.stamp, c.owned = stamp, 0
			n = &c
			s.below = n
		}
		i := way(hash, depth)
		fresh = n.owned&(1<<i) != 0
		n.owned |= 1 << i
		s = &n.slots[i]
		depth++
	}
	if !fresh {
		s.leaf = slices.Clone(s.leaf)
	}
	return s, depth
}

// add puts an entry in, whether or not there is one like it.
func (t *tree[E]) add(stamp uint64, e E) {
	hash := e.hash()
	s, depth := t.own(stamp, hash)
	for len(s.leaf) >= e.room() && depth < maxDepth {
		n := &node[E]{stamp: stamp, owned: 1<<ways - 1}
		for _, old := range s.leaf {
			under := &n.slots[way(old.hash(), depth)]
			under.leaf = append(under.leaf, old)
		}
		s.below, s.leaf = n, nil
		s = &n.slots[way(hash, depth)]
		depth++
	}
	i := len(s.leaf)
	for i > 0 && s.leaf[i-1].hash() > hash {
		i--
	}
	s.leaf = slices.Insert(s.leaf, i, e)
}

// remove takes out one entry with this hash for which is holds.
func (t *tree[E]) remove(stamp, hash uint64, is func(E) bool) {
	s, _ := t.own(stamp, hash)
	if i := slices.IndexFunc(s.leaf, is); i >= 0 {
		s.leaf = slices.Delete(s.leaf, i, i+1)
	}
}

// from calls yield for the entries from this hash on, in order, until it
// returns false.
func (t *tree[E]) from(hash uint64, yield func(E) bool) { t.top.from(hash, 0, yield) }

func (s *slot[E]) from(hash uint64, depth int, yield func(E) bool) bool {
	if s.below == nil {
		for _, e := range s.leaf {
			if e.hash() >= hash && !yield(e) {
				return false
			}
		}
		return true
	}
	first := way(hash, depth)
	for i := first; i < ways; i++ {
		if i > first {
			hash = 0
		}
		if !s.below.slots[i].from(hash, depth+1, yield) {
			return false
		}
	}
	return true
}
