package trail

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// log is a tenant's, with its key.
type log struct {
	t        testing.TB
	lines    [][]byte
	leaves   []Hash
	hashes   reference
	signer   note.Signer
	verifier note.Verifier
}

func newLog(t testing.TB, n int) *log {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, "example.com/audit")
	if err != nil {
		t.Fatal(err)
	}
	l := &log{t: t}
	if l.signer, err = note.NewSigner(secret); err != nil {
		t.Fatal(err)
	}
	if l.verifier, err = NewVerifier(public); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e := Entry{
			TenantID: "t1", Sequence: int64(i + 1), Stream: "AUDIT", ID: fmt.Sprintf("id-%d", i), Source: "/modules/crm", Type: "a.b",
			Time: time.Unix(int64(i), 0), Data: fmt.Appendf(nil, `{"amount":%d}`, 100+i),
		}
		line := e.Encode()
		leaf := LeafHash(line)
		more, err := tlog.StoredHashesForRecordHash(int64(i), leaf, &l.hashes)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, more...)
		l.lines, l.leaves = append(l.lines, line), append(l.leaves, leaf)
	}
	return l
}

func (l *log) checkpoint(size int64) *Checkpoint {
	l.t.Helper()
	root, err := tlog.TreeHash(size, &l.hashes)
	if err != nil {
		l.t.Fatal(err)
	}
	return &Checkpoint{Origin: Origin("example.com/audit", "t1"), Size: size, Root: root}
}

func (l *log) prove(size, first, last int64) *Range {
	l.t.Helper()
	r, err := ProveRange(&l.hashes, size, first, last)
	if err != nil {
		l.t.Fatal(err)
	}
	r.Leaves = l.leaves[first-1 : last]
	return r
}

func export(lines [][]byte) *bytes.Reader {
	return bytes.NewReader(append(bytes.Join(lines, []byte("\n")), '\n'))
}

func (r *Result) String() string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, fmt.Sprintf("%s %d@%d", f.Kind, f.Sequence, f.Line))
	}
	return strings.Join(all, ", ")
}

func TestWhatWasDoneToAnExportIsFound(t *testing.T) {
	t.Parallel()
	l := newLog(t, 300)
	replace := func(at int, old, by string) func([][]byte) [][]byte {
		return func(lines [][]byte) [][]byte {
			lines[at] = bytes.Replace(lines[at], []byte(old), []byte(by), 1)
			return lines
		}
	}
	for name, c := range map[string]struct {
		do   func([][]byte) [][]byte
		want string
	}{
		"nothing":           {func(l [][]byte) [][]byte { return l }, ""},
		"an amount":         {replace(9, `"amount":109`, `"amount":1`), "altered 10@10"},
		"a space":           {replace(9, `{"amount"`, `{ "amount"`), "altered 10@10"},
		"a quote":           {replace(0, `"`, ``), "altered 1@1"},
		"the last":          {replace(299, `"amount"`, `"amounts"`), "altered 300@300"},
		"a time":            {replace(4, `1970`, `1971`), "altered 5@5"},
		"a tenant":          {replace(4, `"t1"`, `"t2"`), "altered 5@5"},
		"a sequence":        {replace(4, `"sequence":"5"`, `"sequence":"4"`), "inserted 4@5, removed 5@0"},
		"one removed":       {func(l [][]byte) [][]byte { return slices.Delete(l, 6, 7) }, "removed 7@0"},
		"the first removed": {func(l [][]byte) [][]byte { return l[1:] }, "removed 1@0"},
		"the end removed":   {func(l [][]byte) [][]byte { return l[:297] }, "removed 298@0"},
		"all removed":       {func([][]byte) [][]byte { return nil }, "removed 1@0"},
		"one doubled":       {func(l [][]byte) [][]byte { return slices.Insert(l, 3, l[2]) }, "inserted 3@4"},
		"one forged": {func(l [][]byte) [][]byte {
			return slices.Insert(l, 3, bytes.Replace(l[2], []byte("102"), []byte("1"), 1))
		}, "inserted 3@4"},
		"a line of nonsense":   {func(l [][]byte) [][]byte { return slices.Insert(l, 3, []byte("{}")) }, "inserted 0@4"},
		"two swapped":          {func(l [][]byte) [][]byte { l[3], l[4] = l[4], l[3]; return l }, "reordered 4@5"},
		"one moved to the end": {func(l [][]byte) [][]byte { return append(slices.Delete(l, 3, 4), l[3]) }, ""},
		"several things": {func(l [][]byte) [][]byte {
			l[20] = []byte("x")
			l[40] = bytes.Replace(l[40], []byte("140"), []byte("0"), 1)
			return slices.Delete(l, 60, 63)
		}, "altered 21@21, altered 41@41, removed 61@0"},
	} {
		var lines [][]byte
		for _, line := range l.lines {
			lines = append(lines, bytes.Clone(line))
		}
		if name == "one moved to the end" {
			fourth := lines[3]
			lines = append(slices.Delete(lines, 3, 4), fourth)
			c.do, c.want = func(l [][]byte) [][]byte { return l }, "reordered 4@300"
		}
		changed := c.do(lines)
		got, err := Verify(export(changed), l.checkpoint(300), l.prove(300, 1, 300))
		if len(changed) == 0 {
			got, err = Verify(strings.NewReader(""), l.checkpoint(300), l.prove(300, 1, 300))
		}
		if err != nil {
			t.Fatal(name, err)
		}
		if got.String() != c.want || got.Verified() != (c.want == "") {
			t.Errorf("%s: %q, not %q: %+v", name, got, c.want, got.Findings)
		}
		// Without leaves it is found too, if not where.
		bare, err := Verify(export(changed), l.checkpoint(300), nil)
		if err != nil {
			t.Fatal(name, err)
		}
		if bare.Verified() != (c.want == "") {
			t.Errorf("%s: verified without leaves: %v", name, bare.Verified())
		}
	}
}

func TestAnyStretchOfAnyTreeIsVerified(t *testing.T) {
	t.Parallel()
	l := newLog(t, 600)
	for range 300 {
		size := 1 + mathrand.Int64N(600)
		first := 1 + mathrand.Int64N(size)
		last := first + mathrand.Int64N(size-first+1)
		proof, lines := l.prove(size, first, last), l.lines[first-1:last]
		for _, leaves := range [][]Hash{proof.Leaves, nil} {
			proof.Leaves = leaves
			got, err := Verify(export(lines), l.checkpoint(size), proof)
			if err != nil || !got.Verified() || got.Entries != last-first+1 {
				t.Fatalf("%d to %d of %d: %v %+v", first, last, size, err, got)
			}
		}
		proof.Leaves = nil
		at := mathrand.IntN(len(lines))
		spoilt := slices.Clone(lines)
		spoilt[at] = bytes.Replace(spoilt[at], []byte("amount"), []byte("sum"), 1)
		if got, err := Verify(export(spoilt), l.checkpoint(size), proof); err != nil || got.Verified() {
			t.Fatalf("%d to %d of %d: line %d altered and verified: %v", first, last, size, at, err)
		}
	}
}

func TestAProofThatDoesNotLeadToTheRootIsNoProof(t *testing.T) {
	t.Parallel()
	l := newLog(t, 100)
	for name, spoil := range map[string]func(*Range){
		"a leaf":       func(r *Range) { r.Leaves[3][0] ^= 1 },
		"left":         func(r *Range) { r.Left[0][0] ^= 1 },
		"right":        func(r *Range) { r.Right[0][0] ^= 1 },
		"less left":    func(r *Range) { r.Left = r.Left[1:] },
		"more right":   func(r *Range) { r.Right = append(r.Right, Hash{}) },
		"fewer leaves": func(r *Range) { r.Leaves = r.Leaves[1:] },
		"elsewhere":    func(r *Range) { r.First++; r.Last++ },
		"outside":      func(r *Range) { r.Last = 101 },
	} {
		r := l.prove(100, 21, 60)
		r.Leaves, r.Left, r.Right = slices.Clone(r.Leaves), slices.Clone(r.Left), slices.Clone(r.Right)
		spoil(r)
		if _, err := Verify(export(l.lines[20:60]), l.checkpoint(100), r); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEntriesAfterTheCheckpointAreUnproven(t *testing.T) {
	t.Parallel()
	l := newLog(t, 50)
	got, err := Verify(export(l.lines), l.checkpoint(40), nil)
	if err != nil || !got.Verified() || got.Entries != 40 || got.Unproven != 10 {
		t.Fatalf("%v %+v", err, got)
	}
}

func TestInclusionAndConsistencyAreProven(t *testing.T) {
	t.Parallel()
	l := newLog(t, 200)
	for range 300 {
		to := 1 + mathrand.Int64N(200)
		from := mathrand.Int64N(to + 1)
		proof, err := ProveConsistency(&l.hashes, from, to)
		if err != nil {
			t.Fatal(err)
		}
		older, newer := l.checkpoint(from), l.checkpoint(to)
		if err := CheckConsistency(proof, older, newer); err != nil {
			t.Fatal(from, to, err)
		}
		if from > 0 {
			older.Root[0] ^= 1
			if err := CheckConsistency(proof, older, newer); !errors.Is(err, ErrProof) {
				t.Fatal(from, to, "another past is taken")
			}
		}
		at := 1 + mathrand.Int64N(to)
		in, err := ProveInclusion(&l.hashes, to, at)
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Check(newer, l.leaves[at-1]); err != nil {
			t.Fatal(err)
		}
		if err := in.Check(newer, LeafHash([]byte("x"))); !errors.Is(err, ErrProof) {
			t.Fatal("another entry is included")
		}
	}
	other := *l.checkpoint(10)
	other.Origin = "elsewhere"
	if err := CheckConsistency(nil, &other, l.checkpoint(10)); !errors.Is(err, ErrProof) {
		t.Fatal("another log is consistent")
	}
}

func TestACheckpointIsWhatTheLogSigned(t *testing.T) {
	t.Parallel()
	l := newLog(t, 10)
	c := l.checkpoint(10)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	seen := time.Unix(1_800_000_000, 0)
	witness, err := NewVerifier(CosignatureKey("witness.example", public))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := c.Sign(l.signer, NewCosigner("witness.example", private, func() time.Time { return seen }))
	if err != nil {
		t.Fatal(err)
	}
	got, names, err := OpenCheckpoint(signed, l.verifier, witness)
	if err != nil || *got != *c || fmt.Sprint(names) != "[example.com/audit witness.example]" {
		t.Fatalf("%v %v %v", got, names, err)
	}
	if _, names, err = OpenCheckpoint(signed, l.verifier); err != nil || len(names) != 1 {
		t.Fatal("who does not know the witness", err)
	}
	if _, _, err = OpenCheckpoint(signed, witness); !errors.Is(err, ErrCheckpoint) && err != nil {
		t.Fatal(err)
	}
	// A witness alone is not the log.
	alone, err := c.Sign(NewCosigner("witness.example", private, time.Now))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"by a witness alone": alone,
		"a size":             bytes.Replace(signed, []byte("\n10\n"), []byte("\n11\n"), 1),
		"cut":                signed[:len(signed)-2],
		"nothing":            nil,
	} {
		if _, _, err := OpenCheckpoint(bad, l.verifier, witness); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "o\n1\n", "o\n01\nAAAA\n", "o\n-1\n" + strings.Repeat("A", 43) + "=\n", "o\n1\nAAAA\n", "\n1\n" + strings.Repeat("A", 43) + "=\n"} {
		if _, err := parseCheckpoint(text); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%q is taken", text)
		}
	}
	for _, vkey := range []string{"", "x", "witness.example+00000000+" + strings.Split(CosignatureKey("witness.example", public), "+")[2]} {
		if _, err := NewVerifier(vkey); err == nil {
			t.Errorf("key %q is taken", vkey)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	l := newLog(b, 20_000)
	all, c := append(bytes.Join(l.lines, []byte("\n")), '\n'), l.checkpoint(20_000)
	b.SetBytes(int64(len(all)))
	for b.Loop() {
		if got, err := Verify(bytes.NewReader(all), c, nil); err != nil || !got.Verified() {
			b.Fatal(err)
		}
	}
}
