package ingest

import (
	"context"
	"fmt"
	"slices"

	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// head is the end of a trail, in a transaction that holds its lock.
type head struct {
	*trail.Frontier
	first  int64        // the place of the first one added
	leaves []trail.Hash // of those added
}

// place gives the rows that are new their places in the trails, without gaps,
// and stores them with what the trees need. The heads' locks keep replicas and
// streams apart, tenant by tenant. What is told late of a tenant that is erased
// is not kept.
func (r *reader) place(ctx context.Context, q *db.Queries, rows []row) (int, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	heads, err := lockHeads(ctx, q, rows)
	if err != nil {
		return 0, err
	}
	seen, err := known(ctx, q, rows)
	if err != nil {
		return 0, err
	}
	var p db.StoreEventsParams
	for i := range rows {
		row := &rows[i]
		h := heads[row.TenantID]
		if h == nil || seen[row.MessageID] {
			continue
		}
		seen[row.MessageID] = true
		row.TenantSeq = h.Size() + 1
		row.entry.Sequence = row.TenantSeq
		row.Entry = row.entry.Encode()
		leaf := trail.LeafHash(row.Entry)
		row.Leaf = leaf[:]
		h.Append(leaf)
		h.leaves = append(h.leaves, leaf)
		record.Append(&p, &row.AuditEvent)
	}
	if err := q.StoreEvents(ctx, p); err != nil {
		return 0, err
	}
	return len(p.Ids), advance(ctx, q, heads)
}

// lockHeads returns the heads of the rows' tenants, but for those erased.
func lockHeads(ctx context.Context, q *db.Queries, rows []row) (map[string]*head, error) {
	var tenants []string
	for i := range rows {
		tenants = append(tenants, rows[i].TenantID)
	}
	slices.Sort(tenants)
	locked, err := q.Heads(ctx, slices.Compact(tenants))
	if err != nil {
		return nil, err
	}
	heads := make(map[string]*head, len(locked))
	for _, l := range locked {
		if l.Erased {
			if err := q.ErasePersonKeys(ctx, l.TenantID); err != nil { // those that were made for the rows
				return nil, err
			}
			continue
		}
		frontier, err := trail.UnmarshalFrontier(l.Frontier)
		if err == nil && frontier.Size() != l.LastSeq {
			err = fmt.Errorf("%d leaves for %d records", frontier.Size(), l.LastSeq)
		}
		if err != nil {
			return nil, fmt.Errorf("trail of tenant %s: %w", l.TenantID, err)
		}
		heads[l.TenantID] = &head{Frontier: frontier, first: l.LastSeq + 1}
	}
	return heads, nil
}

// known returns the rows' message ids that are stored already.
func known(ctx context.Context, q *db.Queries, rows []row) (map[string]bool, error) {
	p := db.KnownParams{First: rows[0].OccurredAt, Last: rows[0].OccurredAt}
	for i := range rows {
		row := &rows[i]
		p.MessageIds = append(p.MessageIds, row.MessageID)
		if row.OccurredAt.Before(p.First) {
			p.First = row.OccurredAt
		}
		if row.OccurredAt.After(p.Last) {
			p.Last = row.OccurredAt
		}
	}
	ids, err := q.Known(ctx, p)
	seen := make(map[string]bool, len(rows))
	for _, id := range ids {
		seen[id] = true
	}
	return seen, err
}

// advance writes the heads that have grown, and the tiles that became full.
func advance(ctx context.Context, q *db.Queries, heads map[string]*head) error {
	var p db.AdvanceHeadsParams
	for tenant, h := range heads {
		if len(h.leaves) == 0 {
			continue
		}
		if err := h.tiles(ctx, q, tenant); err != nil {
			return fmt.Errorf("tiles of tenant %s: %w", tenant, err)
		}
		p.TenantIds = append(p.TenantIds, tenant)
		p.LastSeqs = append(p.LastSeqs, h.Size())
		p.Frontiers = append(p.Frontiers, h.Marshal())
	}
	return q.AdvanceHeads(ctx, p)
}

// tiles stores the tiles of level 0 that became full, and their roots above.
func (h *head) tiles(ctx context.Context, q *db.Queries, tenant string) error {
	for n := (h.first - 1) / trail.TileWidth; (n+1)*trail.TileWidth <= h.Size(); n++ {
		begin := n*trail.TileWidth + 1 // the place of the tile's first leaf
		var hashes []trail.Hash
		if begin < h.first {
			before, err := q.Leaves(ctx, db.LeavesParams{TenantID: tenant, First: begin, Last: h.first - 1})
			if err != nil {
				return err
			}
			for _, leaf := range before {
				hashes = append(hashes, trail.Hash(leaf))
			}
		}
		from := max(begin, h.first) - h.first
		hashes = append(hashes, h.leaves[from:begin+trail.TileWidth-h.first]...)
		if err := putTile(ctx, q, tenant, 0, n, hashes); err != nil {
			return err
		}
	}
	return nil
}

// putTile adds hashes to a tile; a full one's root goes into the tile above.
func putTile(ctx context.Context, q *db.Queries, tenant string, level int32, n int64, hashes []trail.Hash) error {
	all, err := q.AppendToTile(ctx, db.AppendToTileParams{TenantID: tenant, Level: level, N: n, Hashes: trail.JoinHashes(hashes)})
	if err != nil {
		return err
	}
	tile := trail.SplitHashes(all)
	switch {
	case len(tile) > trail.TileWidth || level == 0 && len(tile) != trail.TileWidth:
		return fmt.Errorf("tile %d of level %d has %d hashes", n, level, len(tile))
	case len(tile) < trail.TileWidth:
		return nil
	}
	return putTile(ctx, q, tenant, level+1, n/trail.TileWidth, []trail.Hash{trail.TileRoot(tile)})
}
