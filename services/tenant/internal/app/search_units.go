package app

import (
	"cmp"
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// SearchUnits answers tenant.search_units.
func (a *App) SearchUnits(ctx context.Context, r *contract.SearchUnitsRequest) (*contract.ListUnitsResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(r.Limit, 100)
	query := db.SearchUnitsParams{
		TenantID: tenant, Kind: r.Kind, Removed: r.Removed, Patterns: patterns(r.Search), Page: int32(limit) + 1,
	}
	if parent := kit.UUID(r.ParentID); parent != "" {
		query.ParentID = &parent
	}
	if query.AfterID, query.AfterName, err = readCursor(r.Cursor); err != nil {
		return nil, err
	}
	response := &contract.ListUnitsResponse{Items: []contract.OrgUnit{}}
	err = a.Store.Read(ctx, tenant, func(q *db.Queries) error {
		rows, err := q.SearchUnits(ctx, query)
		if len(rows) > limit {
			rows = rows[:limit]
			response.NextCursor = cursorOf(rows[limit-1].ID, rows[limit-1].Name)
		}
		for _, row := range rows {
			response.Items = append(response.Items, unitOf(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
