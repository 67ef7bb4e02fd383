package app

import (
	"cmp"
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// List answers tenant.list.
func (a *App) List(ctx context.Context, r *contract.ListAllTenantsRequest) (*contract.ListAllTenantsResponse, error) {
	limit := cmp.Or(r.Limit, 50)
	query := db.SearchTenantsParams{State: r.State, Patterns: patterns(r.Search), Page: int32(limit) + 1}
	var err error
	if query.AfterID, query.AfterCode, err = readCursor(r.Cursor); err != nil {
		return nil, err
	}
	response := &contract.ListAllTenantsResponse{Items: []contract.Tenant{}}
	err = a.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		rows, err := q.SearchTenants(ctx, query)
		if len(rows) > limit {
			rows = rows[:limit]
			response.NextCursor = cursorOf(rows[limit-1].ID, rows[limit-1].Code)
		}
		for _, row := range rows {
			response.Items = append(response.Items, tenantOf(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
