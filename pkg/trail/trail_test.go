package trail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// reference is the tree as tlog keeps it.
type reference []Hash

func (r *reference) ReadHashes(indexes []int64) ([]Hash, error) {
	out := make([]Hash, len(indexes))
	for i, at := range indexes {
		out[i] = (*r)[at]
	}
	return out, nil
}

func TestTheFrontierHasTheRootOfTheTree(t *testing.T) {
	t.Parallel()
	var r reference
	f := &Frontier{}
	for n := range int64(2000) {
		leaf := LeafHash(fmt.Appendf(nil, "entry %d", n))
		more, err := tlog.StoredHashesForRecordHash(n, leaf, &r)
		if err != nil {
			t.Fatal(err)
		}
		r = append(r, more...)
		f.Append(leaf)
		want, err := tlog.TreeHash(n+1, &r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Size() != n+1 || f.Root() != want {
			t.Fatalf("size %d: another root", n+1)
		}
		if f, err = UnmarshalFrontier(f.Marshal()); err != nil {
			t.Fatal(err)
		}
	}
	var leaves []Hash
	for n := range int64(TileWidth) {
		leaves = append(leaves, LeafHash(fmt.Appendf(nil, "entry %d", n)))
	}
	want, err := tlog.TreeHash(TileWidth, &r)
	if err != nil {
		t.Fatal(err)
	}
	if TileRoot(leaves) != want {
		t.Fatal("another root of a tile")
	}
	if got := SplitHashes(JoinHashes(leaves)); len(got) != TileWidth || got[255] != leaves[255] {
		t.Fatal("hashes do not come back")
	}
}

func TestTheEmptyTree(t *testing.T) {
	t.Parallel()
	f, err := UnmarshalFrontier(nil)
	if err != nil || f.Size() != 0 {
		t.Fatal(err)
	}
	if want, _ := tlog.TreeHash(0, &reference{}); f.Root() != want {
		t.Fatal("another root")
	}
}

func TestWhatIsNoFrontierIsRefused(t *testing.T) {
	t.Parallel()
	f := &Frontier{}
	f.Append(make([]Hash, 5)...)
	good := f.Marshal()
	for _, bad := range [][]byte{good[:7], good[:len(good)-1], good[:len(good)-32], append(bytes.Clone(good), good[8:40]...), append([]byte{255}, good[1:]...)} {
		if _, err := UnmarshalFrontier(bad); !errors.Is(err, ErrFrontier) {
			t.Errorf("%x is taken", bad)
		}
	}
}

func TestAnEntryComesBackAsItWas(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 891000, time.UTC)
	for _, data := range []string{
		``, `{"a":1.50,"b":"<&>"}`, `[ 1 ]`, `null`, ` {}`, "{\n}", `{"a":1}x`, "\x00\xff", "{\"a\":\"\xff\"}", `"\u003c é  "`, `{"a":1,"a":2}`,
	} {
		for _, extensions := range []map[string]string{nil, {"actorid": "u1", "outcome": "success", "zed": "a\"\\<\n\u2028é\x7f\ufffd"}} {
			e := &Entry{
				TenantID: "t1", Sequence: 17, Stream: "AUDIT", ID: "i1", Source: "/modules/crm", Type: "a.b.v1", Time: at,
				Extensions: extensions, Data: []byte(data),
			}
			line := e.Encode()
			if bytes.ContainsAny(line, "\r\n") || !json.Valid(line) || !utf8.Valid(line) {
				t.Fatalf("%q is no line of JSON", line)
			}
			got, err := Decode(line)
			if err != nil {
				t.Fatal(err, string(line))
			}
			if !bytes.Equal(got.Data, e.Data) || got.Sequence != 17 || !got.Time.Equal(at) || fmt.Sprint(got.Extensions) != fmt.Sprint(extensions) || got.TenantID != "t1" || got.Type != "a.b.v1" {
				t.Errorf("%s became %+v", line, got)
			}
		}
	}
}

// One entry, one spelling: else two lines could say the same with two hashes.
func TestWhatIsNotSpeltAsAnEntryIsRefused(t *testing.T) {
	t.Parallel()
	e := &Entry{TenantID: "t1", Sequence: 1, Stream: "AUDIT", ID: "i1", Source: "/x", Type: "a.b", Time: time.Unix(1, 0), Data: []byte(`{"a":1}`)}
	good := string(e.Encode())
	if _, err := Decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "{}", "null", "[]", good + " ", " " + good, good[:len(good)-1], good + good,
		`{"id":"i1",` + good[1:],
		good[:len(good)-1] + `,"more":1}`,
	} {
		if _, err := Decode([]byte(bad)); !errors.Is(err, ErrEntry) {
			t.Errorf("%q is taken: %v", bad, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	e := &Entry{TenantID: "t1", Sequence: 1, Stream: "AUDIT", ID: "i1", Source: "/x", Type: "a.b", Time: time.Unix(1, 0), Data: []byte(`{"a":1}`), Extensions: map[string]string{"x": "y"}}
	f.Add(e.Encode())
	f.Add([]byte(`{"specversion":"1.0","data_base64":"AA=="}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := Decode(line)
		if err == nil && !bytes.Equal(got.Encode(), line) {
			t.Fatalf("%q comes back as %q", line, got.Encode())
		}
	})
}

func BenchmarkEncodeAndHash(b *testing.B) {
	data := make([]byte, 600)
	for i := range data {
		data[i] = byte('a' + rand.IntN(26))
	}
	quoted, _ := json.Marshal(string(data))
	e := &Entry{TenantID: "0198c7a0-0000-7000-8000-000000000001", Sequence: 123456, Stream: "AUDIT", ID: "0198c7a0-0000-7000-8000-000000000002", Source: "/modules/crm", Type: "dev.buildify.audit.event.logged.v1", Time: time.Now(), Extensions: map[string]string{"actorid": "0198c7a0-0000-7000-8000-000000000003", "outcome": "success"}, Data: quoted}
	f := &Frontier{}
	for b.Loop() {
		f.Append(LeafHash(e.Encode()))
	}
}
