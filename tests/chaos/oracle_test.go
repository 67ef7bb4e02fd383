package chaos

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/trail"
)

// sound is evidence of which nothing is wrong: a trail of more than a tile.
func sound(t *testing.T) *evidence {
	t.Helper()
	e := &evidence{
		tenant: kit.NewID(), logs: map[string]*attempt{}, rows: map[string]*attempt{}, errors: map[string]int{"audit.log unavailable": 3},
		tables: map[string]map[string]string{"unit": {}, "role": {}, "user": {}}, poison: map[string]bool{"poison-1": true},
	}
	for n := range 280 {
		resource := fmt.Sprint("nats0-", n)
		event, err := events.Make(loggedType, "/modules/x", events.AuditSubject(e.tenant, "x", chaosAction), map[string]string{events.TenantID: e.tenant},
			map[string]string{"action": chaosAction, "resource_type": "thing", "resource_id": resource})
		require.NoError(t, err)
		e.take(events.AuditStream, event, chaosAction, "thing", resource)
		e.logs[resource] = &attempt{writer: "nats0", n: n, acked: n%40 != 7, id: event.ID()}
	}
	e.logs["nats0-lost"] = &attempt{writer: "nats0", n: 280}
	for n := range 3 {
		unit := contract.OrgUnit{ID: kit.NewID(), Name: fmt.Sprint("unit", n)}
		e.make(t, "unit", unit.ID, unit.Name, events.UnitChanged, unit)
		role := kit.NewID()
		e.make(t, "role", role, fmt.Sprint("role", n), events.PolicyChanged, events.PolicyStep{
			TenantID: e.tenant, Revision: int64(n + 1), Change: "role.created",
			Changes: []contract.PolicyChange{{Role: &contract.PolicyRole{ID: role}}},
		})
		user := kit.NewID()
		e.make(t, "user", user, fmt.Sprint("user", n), events.UserAdministered, events.UserChange{UserID: user, Change: "created"})
	}
	e.revision = 3
	e.streams = append(e.streams, message{stream: events.AuditStream, seq: 9999, dedup: "poison-1"})
	e.letters = []letter{{Stream: events.AuditStream, Seq: 9999, Dedup: "poison-1"}}
	e.seal()
	return e
}

func (e *evidence) take(stream string, event events.Event, action, kind, resource string) {
	seq := uint64(len(e.streams) + 1)
	e.streams = append(e.streams, message{stream: stream, id: event.ID(), dedup: event.ID(), subject: event.Subject(), seq: seq, event: &event})
	e.trail = append(e.trail, record{
		Seq: int64(len(e.trail) + 1), ID: event.ID(), Message: event.ID(), Stream: stream, Action: action,
		ResourceType: kind, ResourceID: resource, Data: string(event.Data()),
	})
}

func (e *evidence) make(t *testing.T, what, id, name string, kind events.Kind, data any) {
	t.Helper()
	event, err := events.New(kind, e.tenant, 1, data)
	require.NoError(t, err)
	e.take(events.EventsStream, event, kind.Service+"."+kind.Entity+"."+kind.Verb, kind.Entity, id)
	e.tables[what][id] = name
	e.rows[what+" "+name] = &attempt{writer: what, acked: true, id: id}
}

// seal spells the entries and makes the tree over them.
func (e *evidence) seal() {
	f, leaves := &trail.Frontier{}, []trail.Hash{}
	for i := range e.trail {
		r := &e.trail[i]
		entry := trail.Entry{TenantID: e.tenant, Sequence: r.Seq, Stream: r.Stream, ID: r.ID, Data: []byte(r.Data)}
		r.Entry = entry.Encode()
		leaf := trail.LeafHash(r.Entry)
		r.Leaf = leaf[:]
		f.Append(leaf)
		leaves = append(leaves, leaf)
	}
	e.lastSeq, e.frontier, e.listed = int64(len(e.trail)), f.Marshal(), slices.Clone(e.trail)
	root := trail.TileRoot(leaves[:trail.TileWidth])
	e.keys, e.checkpoints = []string{testVerifier}, []contract.AuditCheckpoint{e.sign(f.Size(), f.Root())}
	e.tiles = []tile{{0, 0, trail.JoinHashes(leaves[:trail.TileWidth])}, {1, 0, root[:]}}
}

func (e *evidence) sign(size int64, root trail.Hash) contract.AuditCheckpoint {
	signer, err := note.NewSigner(testSigner)
	if err != nil {
		panic(err)
	}
	signed, err := (&trail.Checkpoint{Origin: trail.Origin("test", e.tenant), Size: size, Root: root}).Sign(signer)
	if err != nil {
		panic(err)
	}
	return contract.AuditCheckpoint{Size: size, Note: string(signed)}
}

// testSigner and testVerifier sign the tests' checkpoints.
var testSigner, testVerifier = func() (string, string) {
	signer, verifier, err := note.GenerateKey(nil, "test")
	if err != nil {
		panic(err)
	}
	return signer, verifier
}()

// What the oracle is for it must see. Each of these happens to sound evidence,
// of which it says nothing.
func TestTheOracleSeesEverythingThatMayGoWrong(t *testing.T) {
	t.Parallel()
	_, wrong := judge(sound(t))
	require.Empty(t, wrong)
	gone := func(e *evidence, i int) { e.trail = slices.Delete(e.trail, i, i+1) }
	renumber := func(e *evidence) {
		for i := range e.trail {
			e.trail[i].Seq = int64(i + 1)
		}
		e.seal()
	}
	for name, c := range map[string]struct {
		harm func(*evidence)
		says string
	}{
		"an acknowledged event is lost": {func(e *evidence) { gone(e, 20); renumber(e) }, "acknowledged and not there"},
		"one without a number":          {func(e *evidence) { e.trail[5].Seq = 7 }, "the sequence has 7 where 6 belongs"},
		"the last one is cut off":       {func(e *evidence) { gone(e, len(e.trail)-1) }, "the head is at"},
		"an event stands twice":         {func(e *evidence) { e.trail = append(e.trail, e.trail[3]); renumber(e) }, "stands at 4 and at 290"},
		"a try stands twice": {func(e *evidence) {
			again := e.trail[3]
			again.ID, again.Message = kit.NewID(), kit.NewID()
			e.trail = append(e.trail, again)
			renumber(e)
		}, "stands 2 times"},
		"an unacknowledged one stands twice": {func(e *evidence) {
			again := e.trail[7]
			again.ID, again.Message = kit.NewID(), kit.NewID()
			e.trail = append(e.trail, again)
			renumber(e)
		}, "acknowledged false, stands 2 times"},
		"nobody sent what is there":       {func(e *evidence) { e.trail[9].ResourceID = "forged"; e.seal() }, "nobody logged"},
		"another event than acknowledged": {func(e *evidence) { e.trail[9].ID = kit.NewID(); e.seal() }, "was acknowledged as event"},
		"a row has no event":              {func(e *evidence) { e.tables["unit"][kit.NewID()] = "silent" }, "has 0 events in the trail"},
		"an event has no row":             {func(e *evidence) { clear(e.tables["role"]) }, "that there is not"},
		"a row is made twice":             {func(e *evidence) { e.tables["user"][kit.NewID()] = "user1" }, "made twice"},
		"an acknowledged row is lost":     {func(e *evidence) { e.rows["unit x"] = &attempt{acked: true, id: kit.NewID()} }, "acknowledged and not there: unit"},
		"a step of the policy is lost":    {func(e *evidence) { e.revision = 4 }, "revision 4 of the policy stands 0 times"},
		"steps are published out of order": {func(e *evidence) {
			i, j := len(e.streams)-3, len(e.streams)-6
			e.streams[i], e.streams[j] = e.streams[j], e.streams[i]
		}, "the stream has revision"},
		"published and not in the trail":     {func(e *evidence) { e.streams = append(e.streams, message{stream: events.EventsStream, id: "x"}) }, "neither in the trail nor"},
		"in the trail and not published":     {func(e *evidence) { e.streams = e.streams[1:] }, "was never published"},
		"poison is swallowed":                {func(e *evidence) { e.letters = nil }, "is 0 times a dead letter"},
		"a good one is taken for poison":     {func(e *evidence) { e.letters = append(e.letters, letter{Stream: events.EventsStream, Dedup: "1"}) }, "that was no poison"},
		"another trail has a gap":            {func(e *evidence) { e.gaps = []string{"other"} }, "a trail with gaps"},
		"the API gives something else":       {func(e *evidence) { e.listed[4].ID = "x" }, "audit.list gives"},
		"somebody is told of an inner error": {func(e *evidence) { e.errors["unit internal: x"] = 1 }, "refused for no good reason"},
		"a byte of an entry is altered": {func(e *evidence) {
			e.trail[11].Entry = []byte(strings.Replace(string(e.trail[11].Entry), "thing", "thinG", 1))
		}, "is not its entry's"},
		"entry and leaf are altered": {func(e *evidence) {
			r := &e.trail[11]
			r.Entry = []byte(strings.Replace(string(r.Entry), "thing", "thinG", 1))
			leaf := trail.LeafHash(r.Entry)
			r.Leaf = leaf[:]
		}, "the head is not that of the tree"},
		"two entries change their places": {func(e *evidence) {
			a, b := &e.trail[1], &e.trail[2]
			a.Entry, b.Entry, a.Leaf, b.Leaf = b.Entry, a.Entry, b.Leaf, a.Leaf
		}, "is another one's"},
		"a tile is missing":          {func(e *evidence) { e.tiles = e.tiles[:1] }, "tile 0 of level 1 is missing"},
		"a tile is another's":        {func(e *evidence) { e.tiles[1].Hashes = make([]byte, 32) }, "is not of the tree"},
		"nothing is signed":          {func(e *evidence) { e.checkpoints = nil }, "nothing is signed"},
		"a checkpoint is not signed": {func(e *evidence) { e.checkpoints[0].Note = "x" }, "not a valid checkpoint"},
		"another tree is signed":     {func(e *evidence) { e.checkpoints[0].Size-- }, "is not of the tree"},
		"a proof is of another entry": {func(e *evidence) {
			e.inclusions = []contract.InclusionProof{{Sequence: 3, Leaf: base64.StdEncoding.EncodeToString(e.trail[3].Leaf)}}
		}, "is of another one"},
		"a proof does not prove": {func(e *evidence) {
			e.inclusions = []contract.InclusionProof{{Sequence: 4, Leaf: base64.StdEncoding.EncodeToString(e.trail[3].Leaf), Checkpoint: e.checkpoints[0]}}
		}, "the proof does not hold"},
		"history is not what it was": {func(e *evidence) {
			e.consistencies = []contract.ConsistencyProof{{From: e.sign(10, trail.Hash{1}), To: e.checkpoints[0]}}
		}, "the proof from"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sound(t)
			c.harm(e)
			_, wrong := judge(e)
			require.Contains(t, strings.Join(wrong, "\n"), c.says)
		})
	}
}
