package app

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// ListGroups answers rbac.list_groups.
func (a *App) ListGroups(ctx context.Context, r *contract.ListGroupsRequest) (*contract.ListGroupsResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(r.Limit, 50)
	query := db.ListGroupsParams{TenantID: tenant, UserID: optional(kit.UUID(r.UserID)), Patterns: patterns(r.Search), Page: int32(limit) + 1}
	if query.AfterID, query.AfterName, err = readCursor(r.Cursor); err != nil {
		return nil, err
	}
	response := &contract.ListGroupsResponse{Items: []contract.Group{}}
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := db.New(tx).ListGroups(ctx, query)
		if len(rows) > limit {
			rows = rows[:limit]
			response.NextCursor = cursorOf(rows[limit-1].ID, rows[limit-1].Name)
		}
		for _, row := range rows {
			response.Items = append(response.Items, groupOf(db.GroupRow(row)))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
