package trail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxLine bounds a line of an export, in bytes.
const MaxLine = 4 << 20

// Kind says what was done to an export.
type Kind string

// What is found in an export.
const (
	Altered   Kind = "altered"   // the entry says something else than what was recorded
	Removed   Kind = "removed"   // an entry is missing
	Inserted  Kind = "inserted"  // a line was never recorded, or not a second time
	Reordered Kind = "reordered" // an entry is not in its place
)

// Finding is one thing that is wrong with an export.
type Finding struct {
	Kind Kind `json:"kind"`
	// Sequence is the entry's, or what the line says; 0 where neither is known.
	Sequence int64 `json:"sequence,omitempty"`
	// Line counts from 1; 0 is no line, of an entry that is missing.
	Line int64  `json:"line,omitempty"`
	Text string `json:"text"`
}

// Result is what an export was found to be.
type Result struct {
	// Entries were found as they were recorded; Unproven are newer than the
	// checkpoint.
	Entries, Unproven int64
	First, Last       int64
	Findings          []Finding
	// More were found than Findings holds.
	More int64
	// Unlocated says that something was altered, and that it takes the leaves of a
	// Range to tell what.
	Unlocated bool
}

// Verified reports whether all is as it was recorded.
func (r *Result) Verified() bool { return len(r.Findings) == 0 && !r.Unlocated }

// MaxFindings bounds what a Result holds.
const MaxFindings = 10_000

// Verify holds an export, entries line by line, against a checkpoint. A nil proof
// is for the export of everything from the first entry on; of a part, or to be
// told which entries were altered, it takes a Range of the checkpoint's size, for
// the latter with its leaves. Memory is a bit for each entry, and a hash with
// leaves. The error is of reading, or of a proof that does not hold.
func Verify(export io.Reader, c *Checkpoint, proof *Range) (*Result, error) {
	if proof == nil {
		proof = &Range{First: 1, Last: c.Size}
	} else if len(proof.Leaves) > 0 {
		if err := proof.Check(c); err != nil {
			return nil, err
		}
	}
	v := &verification{checkpoint: c, proof: proof, seen: make([]uint64, (proof.Last-proof.First+64)/64)}
	v.result.First, v.result.Last = proof.First, proof.Last
	if err := v.read(export); err != nil {
		return nil, err
	}
	v.finish()
	return &v.result, nil
}

// suspect is a line that is not the entry which it says to be.
type suspect struct {
	line, sequence int64 // 0 is none that can be read
	after          int64 // the entry before it
	why            string
}

type verification struct {
	checkpoint *Checkpoint
	proof      *Range
	result     Result

	line     int64
	last     int64    // the sequence of the entry before
	seen     []uint64 // bits, by sequence - First
	suspects []suspect
	hashes   Frontier // of lines that follow one another; what it is worth without leaves
	straight bool
}

func (v *verification) read(export io.Reader) error {
	v.straight = true
	v.last = v.proof.First - 1
	left := v.proof.Left
	if err := subtrees(0, v.proof.First-1, func(level int, _ int64) error {
		if len(left) == 0 {
			return fmt.Errorf("%w: it is too short", ErrProof)
		}
		v.hashes.appendTree(level, left[0])
		left = left[1:]
		return nil
	}); err != nil {
		return err
	}
	lines := bufio.NewReaderSize(export, 256<<10)
	for {
		line, err := readLine(lines)
		if len(line) > 0 {
			v.line++
			v.take(line)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("line %d: %w", v.line+1, err)
		}
	}
}

func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if line == nil && err == nil {
			return bytes.TrimSuffix(part, []byte("\n")), nil
		}
		if line = append(line, part...); len(line) > MaxLine {
			return nil, fmt.Errorf("longer than %d bytes", MaxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSuffix(line, []byte("\n")), err
		}
	}
}

func (v *verification) take(line []byte) {
	e, err := Decode(line)
	if err != nil {
		v.suspect(0, "is not an entry as the platform writes it")
		return
	}
	switch tenant := v.checkpoint.tenant(); {
	case tenant != e.TenantID:
		v.suspect(e.Sequence, "is of another tenant, "+e.TenantID)
		return
	case e.Sequence > v.checkpoint.Size:
		v.result.Unproven++
		return
	case e.Sequence < v.proof.First || e.Sequence > v.proof.Last:
		v.suspect(e.Sequence, fmt.Sprintf("is not between %d and %d", v.proof.First, v.proof.Last))
		return
	}
	hash := LeafHash(line)
	if leaves := v.proof.Leaves; len(leaves) > 0 && leaves[e.Sequence-v.proof.First] != hash {
		v.suspect(e.Sequence, "says something else than what was recorded")
		return
	}
	if v.has(e.Sequence) {
		v.find(Finding{Kind: Inserted, Sequence: e.Sequence, Line: v.line, Text: "the entry is there a second time"})
		v.straight = false
		return
	}
	v.set(e.Sequence)
	v.result.Entries++
	switch {
	case e.Sequence == v.last+1:
		v.hashes.Append(hash)
	case e.Sequence < v.last:
		v.find(Finding{Kind: Reordered, Sequence: e.Sequence, Line: v.line, Text: fmt.Sprintf("the entry comes behind %d", v.last)})
		v.straight = false
		return
	default:
		v.straight = false
	}
	v.last = e.Sequence
}

func (v *verification) suspect(sequence int64, why string) {
	v.straight = false
	if len(v.suspects) == MaxFindings {
		v.result.More++
		return
	}
	v.suspects = append(v.suspects, suspect{line: v.line, sequence: sequence, after: v.last, why: why})
	if sequence == v.last+1 || sequence == 0 { // it stands where the next one should
		v.last++
	}
}

// finish tells what the suspects are, and which entries are missing.
func (v *verification) finish() {
	for _, s := range v.suspects {
		at := s.sequence
		if at == 0 {
			at = s.after + 1
		}
		if at >= v.proof.First && at <= v.proof.Last && !v.has(at) {
			v.set(at) // nothing is missing there
			v.find(Finding{Kind: Altered, Sequence: at, Line: s.line, Text: "the entry " + s.why})
			continue
		}
		v.find(Finding{Kind: Inserted, Sequence: s.sequence, Line: s.line, Text: "the line " + s.why})
	}
	for at := v.proof.First; at <= v.proof.Last; at++ {
		if v.has(at) {
			continue
		}
		end := at
		for end < v.proof.Last && !v.has(end+1) {
			end++
		}
		text := "the entry is missing"
		if end > at {
			text = fmt.Sprintf("the entries up to %d are missing", end)
		}
		v.find(Finding{Kind: Removed, Sequence: at, Text: text})
		at = end
	}
	if len(v.proof.Leaves) > 0 {
		return
	}
	if v.result.Verified() {
		v.result.Unlocated = !v.rooted()
	}
	if !v.result.Verified() { // nothing is known of any single one
		v.result.Entries = 0
	}
}

// rooted reports whether the lines lead to the checkpoint's root.
func (v *verification) rooted() bool {
	right := v.proof.Right
	err := subtrees(v.proof.Last, v.checkpoint.Size, func(level int, _ int64) error {
		if len(right) == 0 {
			return ErrProof
		}
		v.hashes.appendTree(level, right[0])
		right = right[1:]
		return nil
	})
	return err == nil && v.straight && len(right) == 0 && v.hashes.Size() == v.checkpoint.Size && v.hashes.Root() == v.checkpoint.Root
}

func (v *verification) find(f Finding) {
	if len(v.result.Findings) == MaxFindings {
		v.result.More++
		return
	}
	v.result.Findings = append(v.result.Findings, f)
}

func (v *verification) has(sequence int64) bool {
	at := sequence - v.proof.First
	return v.seen[at/64]&(1<<(at%64)) != 0
}

func (v *verification) set(sequence int64) {
	at := sequence - v.proof.First
	v.seen[at/64] |= 1 << (at % 64)
}
