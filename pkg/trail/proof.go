package trail

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof says that a proof does not prove what it should.
var ErrProof = errors.New("the proof does not hold")

// Inclusion proves that an entry has its place in a tree (RFC 6962 §2.1.1).
type Inclusion struct {
	Sequence int64
	Path     []Hash
}

// ProveInclusion makes the proof for the tree of that size.
func ProveInclusion(hashes tlog.HashReader, size, sequence int64) (*Inclusion, error) {
	path, err := tlog.ProveRecord(size, sequence-1, hashes)
	if err != nil {
		return nil, err
	}
	return &Inclusion{Sequence: sequence, Path: path}, nil
}

// Check holds the proof against the leaf's hash and a checkpoint.
func (p *Inclusion) Check(c *Checkpoint, leaf Hash) error {
	if p.Sequence < 1 || p.Sequence > c.Size {
		return fmt.Errorf("%w: entry %d is not among %d", ErrProof, p.Sequence, c.Size)
	}
	if err := tlog.CheckRecord(p.Path, c.Size, c.Root, p.Sequence-1, leaf); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

// ProveConsistency makes the proof that the tree of size to begins with all of
// that of size from (RFC 6962 §2.1.2).
func ProveConsistency(hashes tlog.HashReader, from, to int64) ([]Hash, error) {
	if from == 0 {
		return nil, nil
	}
	return tlog.ProveTree(to, from, hashes)
}

// CheckConsistency holds it against two checkpoints.
func CheckConsistency(proof []Hash, from, to *Checkpoint) error {
	switch {
	case from.Origin != to.Origin:
		return fmt.Errorf("%w: the checkpoints are of different logs", ErrProof)
	case from.Size > to.Size:
		return fmt.Errorf("%w: from %d back to %d entries", ErrProof, from.Size, to.Size)
	case from.Size == 0:
		return nil
	case from.Size == to.Size:
		if from.Root != to.Root {
			return fmt.Errorf("%w: two roots of one size", ErrProof)
		}
		return nil
	}
	if err := tlog.CheckTree(proof, to.Size, to.Root, from.Size, from.Root); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

// Range proves which leaves a stretch of a tree has: the hashes of what is left
// and right of it, from which, with the leaves, the root follows.
type Range struct {
	// First and Last are the sequences of the first and last leaf.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
	// Left are the roots of the full subtrees before First, Right those after Last,
	// in order.
	Left  []Hash `json:"left"`
	Right []Hash `json:"right"`
	// Leaves are the hashes from First to Last.
	Leaves []Hash `json:"leaves"`
}

// subtrees are the largest full subtrees that cover the leaves from begin up to,
// and without, end: as level and number at that level.
func subtrees(begin, end int64, each func(level int, n int64) error) error {
	for begin < end {
		level := min(bits.TrailingZeros64(uint64(begin)|1<<62), bits.Len64(uint64(end-begin))-1)
		if err := each(level, begin>>level); err != nil {
			return err
		}
		begin += 1 << level
	}
	return nil
}

// ProveRange makes the proof for the tree of that size, without its Leaves.
func ProveRange(hashes tlog.HashReader, size, first, last int64) (*Range, error) {
	if first < 1 || last < first || last > size {
		return nil, fmt.Errorf("no entries from %d to %d among %d", first, last, size)
	}
	r := &Range{First: first, Last: last, Left: []Hash{}, Right: []Hash{}}
	collect := func(into *[]Hash) func(int, int64) error {
		return func(level int, n int64) error {
			found, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(level, n)})
			if err == nil {
				*into = append(*into, found...)
			}
			return err
		}
	}
	// The left ones are those of a frontier: the largest first.
	if err := subtrees(0, first-1, collect(&r.Left)); err != nil {
		return nil, err
	}
	return r, subtrees(last, size, collect(&r.Right))
}

// Check holds the proof against a checkpoint: then Leaves are what the log has.
func (r *Range) Check(c *Checkpoint) error {
	if r.First < 1 || r.Last < r.First || r.Last > c.Size || int64(len(r.Leaves)) != r.Last-r.First+1 {
		return fmt.Errorf("%w: %d leaves for the entries %d to %d of %d", ErrProof, len(r.Leaves), r.First, r.Last, c.Size)
	}
	f := &Frontier{}
	left, right := r.Left, r.Right
	take := func(from *[]Hash) func(int, int64) error {
		return func(level int, _ int64) error {
			if len(*from) == 0 {
				return fmt.Errorf("%w: it is too short", ErrProof)
			}
			f.appendTree(level, (*from)[0])
			*from = (*from)[1:]
			return nil
		}
	}
	if err := subtrees(0, r.First-1, take(&left)); err != nil {
		return err
	}
	f.Append(r.Leaves...)
	if err := subtrees(r.Last, c.Size, take(&right)); err != nil {
		return err
	}
	if len(left) > 0 || len(right) > 0 || f.Size() != c.Size || f.Root() != c.Root {
		return fmt.Errorf("%w: it leads to another root", ErrProof)
	}
	return nil
}
