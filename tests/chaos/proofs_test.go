package chaos

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/tests/stack"
)

// prove waits until the whole trail is signed, and asks for proofs of entries
// that are drawn, and of the checkpoints that there are.
func (l *load) prove(t *testing.T, draw *rand.Rand, e *evidence) {
	t.Helper()
	tenant := contract.ID(l.company.Tenant.ID)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := kit.Call(ctx, l.world.Core, contract.GetCheckpoint, &contract.GetCheckpointRequest{TenantID: tenant, Covering: e.lastSeq})
		return err == nil
	}, patience, 100*time.Millisecond, "nobody signs the trail up to %d", e.lastSeq)
	for _, key := range stack.Do(t, l.world.Stack, contract.AuditKeys, &contract.Empty{}).Items {
		e.keys = append(e.keys, key.Verifier)
	}
	for cursor := "more"; cursor != ""; {
		if cursor == "more" {
			cursor = ""
		}
		page := stack.Do(t, l.world.Stack, contract.ListCheckpoints, &contract.ListCheckpointsRequest{TenantID: tenant, Limit: 500, Cursor: cursor})
		e.checkpoints, cursor = append(e.checkpoints, page.Items...), page.NextCursor
	}
	for range 5 {
		e.inclusions = append(e.inclusions, *stack.Do(t, l.world.Stack, contract.ProveInclusion, &contract.ProveInclusionRequest{
			TenantID: tenant, Sequence: 1 + draw.Int64N(e.lastSeq),
		}))
	}
	for _, c := range e.checkpoints[1:] {
		e.consistencies = append(e.consistencies, *stack.Do(t, l.world.Stack, contract.ProveConsistency, &contract.ProveConsistencyRequest{
			TenantID: tenant, From: c.Size,
		}))
	}
}

// signed: each checkpoint is signed, and of this tree; an export verifies
// against the newest one without the platform, and the platform's proofs hold.
func (v *verdict) signed() {
	var verifiers []note.Verifier
	for _, key := range v.keys {
		verifier, err := trail.NewVerifier(key)
		if err != nil {
			v.say("the key %s: %v", key, err)
			return
		}
		verifiers = append(verifiers, verifier)
	}
	if len(v.checkpoints) == 0 || len(verifiers) == 0 {
		v.say("nothing is signed")
		return
	}
	open := func(c contract.AuditCheckpoint) *trail.Checkpoint {
		opened, _, err := trail.OpenCheckpoint([]byte(c.Note), verifiers...)
		if err != nil {
			v.say("the checkpoint of %d: %v", c.Size, err)
			return &trail.Checkpoint{}
		}
		return opened
	}
	roots, f := map[int64]trail.Hash{}, &trail.Frontier{}
	for _, r := range v.evidence.trail {
		f.Append(trail.LeafHash(r.Entry))
		roots[f.Size()] = f.Root()
	}
	for _, c := range v.checkpoints {
		if opened := open(c); opened.Root != roots[c.Size] || opened.Size != c.Size {
			v.say("the checkpoint of %d is not of the tree", c.Size)
		}
	}
	var export bytes.Buffer
	for _, r := range v.evidence.trail {
		export.Write(append(bytes.Clone(r.Entry), '\n'))
	}
	result, err := trail.Verify(&export, open(v.checkpoints[0]), nil)
	if err != nil || !result.Verified() || result.Entries != v.lastSeq {
		v.say("the export of %d does not verify: %v %+v", v.lastSeq, err, result)
	}
	for _, p := range v.inclusions {
		leaf, _ := base64.StdEncoding.DecodeString(p.Leaf) // one that cannot be read proves nothing
		inclusion := trail.Inclusion{Sequence: p.Sequence, Path: hashes(p.Path)}
		if len(leaf) != len(trail.Hash{}) || p.Sequence > int64(len(v.evidence.trail)) || !bytes.Equal(leaf, v.evidence.trail[p.Sequence-1].Leaf) {
			v.say("the proof of entry %d is of another one", p.Sequence)
		} else if err := inclusion.Check(open(p.Checkpoint), trail.Hash(leaf)); err != nil {
			v.say("the proof of entry %d: %v", p.Sequence, err)
		}
	}
	for _, p := range v.consistencies {
		if err := trail.CheckConsistency(hashes(p.Path), open(p.From), open(p.To)); err != nil {
			v.say("the proof from %d to %d: %v", p.From.Size, p.To.Size, err)
		}
	}
}

// hashes reads a proof's; what is none is left out, and the proof does not hold.
func hashes(encoded []string) (all []trail.Hash) {
	for _, text := range encoded {
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) == len(trail.Hash{}) {
			all = append(all, trail.Hash(raw))
		}
	}
	return all
}

// tree: every record is its entry, spelt in the one way and hashed into its
// leaf, and head and tiles are of the tree over these leaves.
func (v *verdict) tree() {
	f := &trail.Frontier{}
	levels := [][]trail.Hash{nil}
	for _, r := range v.evidence.trail {
		entry, err := trail.Decode(r.Entry)
		switch {
		case err != nil:
			v.say("the entry at %d cannot be read: %v", r.Seq, err)
		case entry.TenantID != v.tenant || entry.Sequence != r.Seq || entry.ID != r.ID || entry.Stream != r.Stream:
			v.say("the entry at %d is another one's: %s", r.Seq, r.Entry)
		}
		leaf := trail.LeafHash(r.Entry)
		if !bytes.Equal(leaf[:], r.Leaf) {
			v.say("the leaf at %d is not its entry's", r.Seq)
		}
		f.Append(leaf)
		levels[0] = append(levels[0], leaf)
	}
	if !bytes.Equal(f.Marshal(), v.frontier) {
		v.say("the head is not that of the tree over the %d entries", f.Size())
	}
	for level := 0; len(levels[level]) >= trail.TileWidth; level++ {
		var above []trail.Hash
		for n := 0; (n+1)*trail.TileWidth <= len(levels[level]); n++ {
			above = append(above, trail.TileRoot(levels[level][n*trail.TileWidth:(n+1)*trail.TileWidth]))
		}
		levels = append(levels, above)
	}
	want := map[string][]byte{} // of level 0 the full tiles, of those above what there is
	for level, hashes := range levels {
		for n := 0; n*trail.TileWidth < len(hashes); n++ {
			if some := hashes[n*trail.TileWidth : min((n+1)*trail.TileWidth, len(hashes))]; level > 0 || len(some) == trail.TileWidth {
				want[fmt.Sprintf("tile %d of level %d", n, level)] = trail.JoinHashes(some)
			}
		}
	}
	for _, t := range v.tiles {
		name := fmt.Sprintf("tile %d of level %d", t.N, t.Level)
		if !bytes.Equal(t.Hashes, want[name]) {
			v.say("%s is not of the tree", name)
		}
		delete(want, name)
	}
	for name := range want {
		v.say("%s is missing", name)
	}
}
