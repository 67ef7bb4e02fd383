package proofs

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/store/db"
)

var errNoHash = errors.New("the tree has no such hash")

// tree reads the hashes of a tenant's tree from its tiles; those of the tile that
// is not full yet stand beside the events.
type tree struct {
	ctx    context.Context //nolint:containedctx // of one request, as tlog's interface has none
	q      *db.Queries
	tenant string
	tiles  map[tlog.Tile][]byte // the full ones, and those above level 0, that were read
}

func newTree(ctx context.Context, q *db.Queries, tenant string) *tree {
	return &tree{ctx: ctx, q: q, tenant: tenant, tiles: map[tlog.Tile][]byte{}}
}

// ReadHashes implements tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]trail.Hash, error) {
	hashes := make([]trail.Hash, len(indexes))
	for i, index := range indexes {
		tile := tlog.TileForIndex(trail.TileHeight, index)
		data, err := t.tile(tile)
		if err != nil {
			return nil, err
		}
		if hashes[i], err = tlog.HashFromTile(tile, data, index); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoHash, err)
		}
	}
	return hashes, nil
}

// tile is the data of a tile, of as many hashes as it says.
func (t *tree) tile(tile tlog.Tile) ([]byte, error) {
	whole := tile
	whole.W = trail.TileWidth
	data, known := t.tiles[whole]
	if !known {
		var err error
		data, err = t.q.Tile(t.ctx, db.TileParams{TenantID: t.tenant, Level: int32(tile.L), N: tile.N})
		switch {
		case database.Missing(err) && tile.L == 0:
			first := tile.N*trail.TileWidth + 1
			leaves, err := t.stored(first, first+trail.TileWidth-1)
			if err != nil {
				return nil, err
			}
			data = trail.JoinHashes(leaves)
		case database.Missing(err):
			return nil, errNoHash
		case err != nil:
			return nil, err
		}
		t.tiles[whole] = data
	}
	if size := tile.W * len(trail.Hash{}); len(data) >= size {
		return data[:size], nil
	}
	return nil, errNoHash
}

// leaves are those of some sequences, all of them.
func (t *tree) leaves(first, last int64) ([]trail.Hash, error) {
	var all []trail.Hash
	for next := first; next <= last; {
		tile := tlog.Tile{H: trail.TileHeight, N: (next - 1) / trail.TileWidth, W: 1}
		begin := tile.N*trail.TileWidth + 1
		tile.W = int(min(last, begin+trail.TileWidth-1) - begin + 1)
		data, err := t.tile(tile)
		if err != nil {
			return nil, err
		}
		all = append(all, trail.SplitHashes(data)[next-begin:]...)
		next = begin + int64(tile.W)
	}
	return all, nil
}

// stored are the leaves that stand beside events, as many as there are.
func (t *tree) stored(first, last int64) ([]trail.Hash, error) {
	rows, err := t.q.Leaves(t.ctx, db.LeavesParams{TenantID: t.tenant, First: first, Last: last})
	if err != nil {
		return nil, err
	}
	leaves := make([]trail.Hash, len(rows))
	for i, row := range rows {
		if len(row) != len(trail.Hash{}) {
			return nil, fmt.Errorf("%w: entry %d", errNoHash, first+int64(i))
		}
		leaves[i] = trail.Hash(row)
	}
	return leaves, nil
}
