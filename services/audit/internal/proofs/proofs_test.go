package proofs

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/trailtest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

type world struct {
	*trailtest.World
	*Proofs
}

func newWorld(t testing.TB, publishers ...Publisher) *world {
	t.Helper()
	w := &world{World: trailtest.New(t)}
	w.Proofs = w.replica("example.com/audit", publishers...)
	return w
}

func (w *world) replica(origin string, publishers ...Publisher) *Proofs {
	w.T.Helper()
	p, err := New(trailtest.Bounded(w.T), Config{
		DB: w.DB, Secret: bytes.Repeat([]byte("s"), 32), Origin: origin, Publishers: publishers,
		TrailOf: func(ctx context.Context, _ contract.ID) (string, error) { return kit.UserFrom(ctx).TenantID, nil },
		Log:     slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	require.NoError(w.T, err)
	return p
}

// grow adds n events to a trail, and the tiles that they fill.
func (w *world) grow(tenant string, n int) {
	w.T.Helper()
	w.Add(tenant, make([]trailtest.Event, n)...)
	ctx := trailtest.Bounded(w.T)
	require.NoError(w.T, w.DB.In(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT leaf FROM events ORDER BY tenant_seq")
		require.NoError(w.T, err)
		leaves, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		require.NoError(w.T, err)
		level := trail.SplitHashes(bytes.Join(leaves, nil))
		for l := 0; len(level) >= trail.TileWidth || l > 0 && len(level) > 0; l++ {
			var above []trail.Hash
			for n := 0; n*trail.TileWidth < len(level); n++ {
				tile := level[n*trail.TileWidth : min((n+1)*trail.TileWidth, len(level))]
				if len(tile) == trail.TileWidth {
					above = append(above, trail.TileRoot(tile))
				} else if l == 0 {
					break
				}
				_, err := tx.Exec(ctx, `INSERT INTO tiles VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, level, n) DO UPDATE SET hashes = excluded.hashes`,
					tenant, l, n, trail.JoinHashes(tile))
				require.NoError(w.T, err)
			}
			level = above
		}
		return nil
	}))
}

func (w *world) round() {
	w.T.Helper()
	require.NoError(w.T, w.Round(trailtest.Bounded(w.T)))
}

// verifier is that of the key that signs.
func (w *world) verifier() note.Verifier {
	w.T.Helper()
	keys, err := w.Keys(trailtest.Bounded(w.T), nil)
	require.NoError(w.T, err)
	v, err := trail.NewVerifier(keys.Items[0].Verifier)
	require.NoError(w.T, err)
	return v
}

func decode(t testing.TB, hashes []string) (all []trail.Hash) {
	t.Helper()
	for _, h := range hashes {
		raw, err := base64.StdEncoding.DecodeString(h)
		require.NoError(t, err)
		all = append(all, trail.Hash(raw))
	}
	return all
}

// lines are the entries of a trail.
func (w *world) lines(tenant string, first, last int64) []byte {
	w.T.Helper()
	ctx := trailtest.Bounded(w.T)
	var lines [][]byte
	require.NoError(w.T, w.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT entry FROM events WHERE tenant_seq BETWEEN $1 AND $2 ORDER BY tenant_seq", first, last)
		require.NoError(w.T, err)
		lines, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
		return err
	}))
	return append(bytes.Join(lines, []byte("\n")), '\n')
}

func TestEveryEntryIsProvenByWhatWasSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := w.Tenant()
	ctx := trailtest.As(t, tenant)
	sizes := []int64{}
	for _, n := range []int{1, 3, 252, 1, 500} { // over the edges of tiles
		w.grow(tenant, n)
		w.round()
		latest, err := w.Get(ctx, &contract.GetCheckpointRequest{})
		require.NoError(t, err)
		sizes = append(sizes, latest.Size)
	}
	require.Equal(t, []int64{1, 4, 256, 257, 757}, sizes)
	for i, to := range sizes {
		for _, from := range sizes[:i+1] {
			proof, err := w.Consistency(ctx, &contract.ProveConsistencyRequest{From: from, To: to})
			require.NoError(t, err)
			older, _, err := trail.OpenCheckpoint([]byte(proof.From.Note), w.verifier())
			require.NoError(t, err)
			newer, _, err := trail.OpenCheckpoint([]byte(proof.To.Note), w.verifier())
			require.NoError(t, err)
			require.Equal(t, "example.com/audit/"+tenant, newer.Origin)
			require.NoError(t, trail.CheckConsistency(decode(t, proof.Path), older, newer))
		}
		for _, at := range []int64{1, to / 2, to} {
			if at == 0 {
				continue
			}
			proof, err := w.Inclusion(ctx, &contract.ProveInclusionRequest{Sequence: at, Size: to})
			require.NoError(t, err)
			c, _, err := trail.OpenCheckpoint([]byte(proof.Checkpoint.Note), w.verifier())
			require.NoError(t, err)
			in := trail.Inclusion{Sequence: at, Path: decode(t, proof.Path)}
			require.NoError(t, in.Check(c, trail.LeafHash([]byte(proof.Entry))))
			require.Equal(t, decode(t, []string{proof.Leaf})[0], trail.LeafHash([]byte(proof.Entry)))
		}
	}
	for _, stretch := range [][2]int64{{1, 757}, {1, 1}, {757, 757}, {200, 600}, {257, 512}} {
		proof, err := w.Range(ctx, &contract.ProveRangeRequest{First: stretch[0], Last: stretch[1]})
		require.NoError(t, err)
		leaves, err := w.Leaves(ctx, &contract.ListLeavesRequest{First: stretch[0], Last: stretch[1]})
		require.NoError(t, err)
		raw, err := base64.StdEncoding.DecodeString(leaves.Leaves)
		require.NoError(t, err)
		c, _, err := trail.OpenCheckpoint([]byte(proof.Checkpoint.Note), w.verifier())
		require.NoError(t, err)
		result, err := trail.Verify(bytes.NewReader(w.lines(tenant, stretch[0], stretch[1])), c, &trail.Range{
			First: stretch[0], Last: stretch[1], Left: decode(t, proof.Left), Right: decode(t, proof.Right), Leaves: trail.SplitHashes(raw),
		})
		require.NoError(t, err)
		require.True(t, result.Verified())
		require.Equal(t, stretch[1]-stretch[0]+1, result.Entries)
	}
	page, err := w.List(ctx, &contract.ListCheckpointsRequest{Limit: 3})
	require.NoError(t, err)
	require.Len(t, page.Items, 3)
	page, err = w.List(ctx, &contract.ListCheckpointsRequest{Limit: 3, Cursor: page.NextCursor})
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	covering, err := w.Get(ctx, &contract.GetCheckpointRequest{Covering: 5})
	require.NoError(t, err)
	require.EqualValues(t, 256, covering.Size)
}

func TestWhatIsNotThereIsNotProven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, other := w.Tenant(), w.Tenant()
	ctx := trailtest.As(t, tenant)
	_, err := w.Get(ctx, &contract.GetCheckpointRequest{})
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
	w.grow(tenant, 10)
	w.round()
	w.grow(tenant, 1)
	w.grow(other, 20)
	for name, c := range map[string]struct {
		err  func() error
		want contract.Code
	}{
		"not covered yet": {func() error {
			_, err := w.Inclusion(ctx, &contract.ProveInclusionRequest{Sequence: 11})
			return err
		}, contract.Conflict},
		"a range not covered": {func() error {
			_, err := w.Range(ctx, &contract.ProveRangeRequest{First: 1, Last: 11})
			return err
		}, contract.Conflict},
		"a size that was not signed": {func() error {
			_, err := w.Inclusion(ctx, &contract.ProveInclusionRequest{Sequence: 1, Size: 9})
			return err
		}, contract.NotFound},
		"backwards": {func() error {
			_, err := w.Range(ctx, &contract.ProveRangeRequest{First: 5, Last: 4})
			return err
		}, contract.InvalidArgument},
		"leaves there are none of": {func() error {
			_, err := w.Leaves(ctx, &contract.ListLeavesRequest{First: 5, Last: 12})
			return err
		}, contract.NotFound},
		"a cursor": {func() error {
			_, err := w.List(ctx, &contract.ListCheckpointsRequest{Cursor: "x"})
			return err
		}, contract.InvalidArgument},
		"another tenant's": {func() error {
			_, err := w.Get(trailtest.As(t, other), &contract.GetCheckpointRequest{})
			return err
		}, contract.NotFound},
	} {
		require.ErrorIs(t, c.err(), &contract.Error{Code: c.want}, name)
	}
}

// A trail that somebody with the database's keys rewrote is not signed again.
func TestARewrittenTrailIsNotSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, honest := w.Tenant(), w.Tenant()
	w.grow(tenant, 300)
	w.grow(honest, 5)
	w.round()
	ctx := trailtest.Bounded(t)
	require.NoError(t, w.DB.In(ctx, tenant, func(tx pgx.Tx) error { // all of it, consistent in itself
		for _, table := range []string{"events", "tiles", "heads"} {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	}))
	w.grow(tenant, 400)
	w.grow(honest, 5)
	w.round()
	latest, err := w.Get(trailtest.As(t, tenant), &contract.GetCheckpointRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 300, latest.Size, "the lie is not signed")
	latest, err = w.Get(trailtest.As(t, honest), &contract.GetCheckpointRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 10, latest.Size, "and holds up nobody")
}

func TestThePlatformsOwnTrailIsSignedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grow(record.PlatformTenant, 3)
	w.round()
	latest, err := w.Get(trailtest.As(t, record.PlatformTenant), &contract.GetCheckpointRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 3, latest.Size)
}

func TestARotatedKeySignsNoMoreAndWhatItSignedStaysValid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := w.Tenant()
	ctx := trailtest.As(t, tenant)
	w.grow(tenant, 3)
	w.round()
	old := w.verifier()
	keys, err := w.RotateKey(ctx, nil)
	require.NoError(t, err)
	require.Len(t, keys.Items, 2)
	require.Nil(t, keys.Items[0].RetiredAt)
	require.NotNil(t, keys.Items[1].RetiredAt)
	w.grow(tenant, 3)
	w.replica("example.com/audit")
	w.round()
	proof, err := w.Consistency(ctx, &contract.ProveConsistencyRequest{From: 3})
	require.NoError(t, err)
	_, _, err = trail.OpenCheckpoint([]byte(proof.From.Note), old)
	require.NoError(t, err)
	_, _, err = trail.OpenCheckpoint([]byte(proof.To.Note), w.verifier())
	require.NoError(t, err)
	_, _, err = trail.OpenCheckpoint([]byte(proof.To.Note), old)
	require.ErrorIs(t, err, trail.ErrCheckpoint)
	var sealed int
	require.NoError(t, w.DB.QueryRow(ctx, "SELECT count(*) FROM signing_keys WHERE sealed IS NOT NULL").Scan(&sealed))
	require.Equal(t, 1, sealed, "the old one is destroyed")
}

// files are those under a directory.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = string(data)
		return err
	}))
	return all
}

func TestCheckpointsArePublishedWithTheirTiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var mu sync.Mutex
	remote := map[string]string{}
	var broken bool
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPut || broken {
			out.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		remote[strings.TrimPrefix(r.URL.Path, "/logs/")] = string(body)
	}))
	defer server.Close()
	base, err := url.Parse(server.URL + "/logs")
	require.NoError(t, err)
	w := newWorld(t, Directory(dir), Put(base, server.Client()))
	tenant := w.Tenant()
	w.grow(tenant, 300)
	w.round()
	mu.Lock()
	broken = true
	mu.Unlock()
	w.grow(tenant, 300)
	w.round()
	mu.Lock()
	require.Contains(t, remote[tenant+"/checkpoint"], "\n300\n", "as before")
	broken = false
	mu.Unlock()
	w.grow(tenant, 1)
	w.round()
	all := files(t, dir)
	mu.Lock()
	for name, data := range remote {
		require.True(t, all[name] == data, name)
	}
	require.NotEmpty(t, remote[tenant+"/tile/0/002.p/89"])
	mu.Unlock()
	for _, name := range []string{"checkpoint", "tile/0/000", "tile/0/001", "tile/0/000", "tile/0/002.p/89", "tile/1/000.p/2"} {
		require.NotEmpty(t, all[tenant+"/"+name], name)
	}
	// Whoever has the files alone can prove with them.
	c, _, err := trail.OpenCheckpoint([]byte(all[tenant+"/checkpoint"]), w.verifier())
	require.NoError(t, err)
	require.EqualValues(t, 601, c.Size)
	reader := tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tiles(func(tile tlog.Tile) []byte { return []byte(all[tenant+"/"+tilePath(tile)]) }))
	_, err = trail.ProveInclusion(reader, c.Size, 400)
	require.NoError(t, err)
}

type tiles func(tlog.Tile) []byte

func (tiles) Height() int                     { return trail.TileHeight }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (read tiles) ReadTiles(all []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range all {
		data = append(data, read(tile))
	}
	return data, nil
}

// witnessServer is one as C2SP tlog-witness says.
type witnessServer struct {
	t      testing.TB
	log    func() note.Verifier
	signer note.Signer

	mu   sync.Mutex
	seen *trail.Checkpoint
}

func (s *witnessServer) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	head, signed, ok := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	var old int64
	if _, err := fmt.Sscanf(lines[0], "old %d", &old); err != nil || !ok || r.URL.Path != "/w/add-checkpoint" {
		out.WriteHeader(http.StatusBadRequest)
		return
	}
	c, _, err := trail.OpenCheckpoint([]byte(signed), s.log())
	if err != nil {
		out.WriteHeader(http.StatusForbidden)
		return
	}
	if s.seen == nil {
		s.seen = &trail.Checkpoint{Origin: c.Origin}
	}
	if old != s.seen.Size {
		out.Header().Set("Content-Type", "text/x.tlog.size")
		out.WriteHeader(http.StatusConflict)
		fmt.Fprintf(out, "%d\n", s.seen.Size)
		return
	}
	if err := trail.CheckConsistency(decode(s.t, lines[1:]), s.seen, c); err != nil {
		out.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.seen = c
	both, err := note.Sign(&note.Note{Text: c.Text()}, s.signer)
	if err != nil {
		out.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, line, _ := strings.Cut(string(both), "\n\n")
	fmt.Fprint(out, line)
}

func TestAWitnessCosignsWhatContinuesWhatItSaw(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	server := &witnessServer{t: t, signer: trail.NewCosigner("witness.example", private, time.Now)}
	over := httptest.NewServer(server)
	defer over.Close()
	base, err := url.Parse(over.URL + "/w")
	require.NoError(t, err)
	verifier, err := trail.NewVerifier(trail.CosignatureKey("witness.example", public))
	require.NoError(t, err)
	w := newWorld(t, Witness(base, verifier, over.Client()))
	server.log = w.verifier
	tenant := w.Tenant()
	for i, n := range []int{5, 300, 2} {
		w.grow(tenant, n)
		w.round()
		if i == 1 { // the platform forgot what it published: the witness says what it saw
			require.NoError(t, w.DB.In(trailtest.Bounded(t), tenant, func(tx pgx.Tx) error {
				_, err := tx.Exec(trailtest.Bounded(t), "UPDATE checkpoints SET published_at = NULL WHERE size < 300")
				return err
			}))
		}
		latest, err := w.Get(trailtest.As(t, tenant), &contract.GetCheckpointRequest{})
		require.NoError(t, err)
		c, names, err := trail.OpenCheckpoint([]byte(latest.Note), w.verifier(), verifier)
		require.NoError(t, err)
		require.Equal(t, []string{"example.com/audit", "witness.example"}, names)
		require.Equal(t, c.Size, latest.Size)
	}
}
