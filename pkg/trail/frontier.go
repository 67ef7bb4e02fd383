package trail

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Frontier is the right edge of a tree: the roots of its full subtrees, the
// largest first. It is all that is needed to append, and to tell the root. The
// zero value is the empty tree.
type Frontier struct {
	size   int64
	hashes []Hash
}

// ErrFrontier says that bytes are no Frontier's.
var ErrFrontier = errors.New("not the frontier of a tree")

// Append adds leaves, in order.
func (f *Frontier) Append(leaves ...Hash) {
	for _, h := range leaves {
		f.appendTree(0, h)
	}
}

// appendTree adds the root of a full subtree of 1<<level leaves, which the size
// so far is a multiple of.
func (f *Frontier) appendTree(level int, h Hash) {
	for full := f.size >> level; full&1 == 1; full >>= 1 {
		last := len(f.hashes) - 1
		h = tlog.NodeHash(f.hashes[last], h)
		f.hashes = f.hashes[:last]
	}
	f.hashes = append(f.hashes, h)
	f.size += 1 << level
}

// Size is how many leaves there are.
func (f *Frontier) Size() int64 { return f.size }

// Root is the root of the tree; of the empty one, SHA-256 of nothing.
func (f *Frontier) Root() Hash {
	if f.size == 0 {
		return sha256.Sum256(nil)
	}
	last := len(f.hashes) - 1
	root := f.hashes[last]
	for i := last - 1; i >= 0; i-- {
		root = tlog.NodeHash(f.hashes[i], root)
	}
	return root
}

// Marshal renders the frontier: its size in 8 bytes, big-endian, and the hashes.
func (f *Frontier) Marshal() []byte {
	out := binary.BigEndian.AppendUint64(nil, uint64(f.size))
	for _, h := range f.hashes {
		out = append(out, h[:]...)
	}
	return out
}

// UnmarshalFrontier reads what Marshal wrote; nothing is the empty tree's.
func UnmarshalFrontier(data []byte) (*Frontier, error) {
	if len(data) == 0 {
		return &Frontier{}, nil
	}
	if len(data) < 8 {
		return nil, ErrFrontier
	}
	size := binary.BigEndian.Uint64(data)
	hashes := data[8:]
	if size > 1<<62 || len(hashes) != bits.OnesCount64(size)*len(Hash{}) {
		return nil, ErrFrontier
	}
	f := &Frontier{size: int64(size)}
	for ; len(hashes) > 0; hashes = hashes[len(Hash{}):] {
		f.hashes = append(f.hashes, Hash(hashes[:len(Hash{})]))
	}
	return f, nil
}
