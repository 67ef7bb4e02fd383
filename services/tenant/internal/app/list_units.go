package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// ListUnits answers tenant.list_units.
func (a *App) ListUnits(ctx context.Context, r *contract.SnapshotRequest) (*contract.ListUnitsResponse, error) {
	after, limit, err := kit.SnapshotPage(r)
	if err != nil {
		return nil, err
	}
	response := &contract.ListUnitsResponse{Items: []contract.OrgUnit{}}
	err = a.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		units, err := q.ListUnits(ctx, db.ListUnitsParams{After: after, Page: int32(limit)})
		for _, row := range units {
			response.Items = append(response.Items, unitOf(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(response.Items) == limit {
		response.NextCursor = response.Items[limit-1].ID
	}
	return response, nil
}
