package app

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// treeRoom is how many bytes of units an answer holds: a message on the bus has
// little more than a MiB.
const treeRoom = 900 << 10

// OrgTree answers tenant.org_tree.
func (a *App) OrgTree(ctx context.Context, r *contract.OrgTreeRequest) (*contract.OrgTree, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var rows []db.TenantUnit
	err = a.Store.Read(ctx, tenant, func(q *db.Queries) (err error) {
		rows, err = q.TenantUnits(ctx, tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	g := &grower{below: map[string][]db.TenantUnit{}, room: treeRoom}
	top, tops := kit.UUID(r.UnitID), []db.TenantUnit{}
	for _, row := range rows {
		parent := textOf(row.ParentID)
		g.below[parent] = append(g.below[parent], row)
		if row.ID == top || top == "" && parent == "" {
			tops = append(tops, row)
		}
	}
	if top != "" && len(tops) == 0 {
		return nil, contract.Missing("unit")
	}
	items, complete := g.grow(tops, cmp.Or(r.Depth, contract.OrgDepth))
	return &contract.OrgTree{Items: items, Units: len(rows), Complete: complete}, nil
}

// grower nests units, level by level, until the room is used up.
type grower struct {
	below map[string][]db.TenantUnit // by parent
	room  int
}

// grow reports also whether all of the units down to this depth are there. Of
// the tops as many are as there is room for, of others all that are in one unit,
// or none.
func (g *grower) grow(tops []db.TenantUnit, depth int) (items []contract.OrgNode, complete bool) {
	items, complete = g.nodes(tops)
	level := pointers(nil, items)
	for range depth - 1 {
		var next []*contract.OrgNode
		for _, node := range level {
			if node.Children == 0 {
				continue
			}
			children, all := g.nodes(g.below[node.ID])
			if !all {
				return items, false
			}
			node.Items = children
			next = pointers(next, children)
		}
		level = next
	}
	return items, complete
}

func pointers(to []*contract.OrgNode, nodes []contract.OrgNode) []*contract.OrgNode {
	for i := range nodes {
		to = append(to, &nodes[i])
	}
	return to
}

// nodes are units as far as there is room.
func (g *grower) nodes(rows []db.TenantUnit) (nodes []contract.OrgNode, all bool) {
	nodes = make([]contract.OrgNode, 0, len(rows))
	for _, row := range rows {
		node := contract.OrgNode{
			ID: row.ID, Kind: row.Kind, Code: row.Code, Name: row.Name, HeadUserID: textOf(row.HeadUserID),
			Revision: row.Revision, Children: len(g.below[row.ID]),
		}
		raw, _ := json.Marshal(node) // plain data
		if g.room -= len(raw) + len(`,"items":[],`); g.room < 0 {
			return nodes, false
		}
		nodes = append(nodes, node)
	}
	return nodes, true
}
