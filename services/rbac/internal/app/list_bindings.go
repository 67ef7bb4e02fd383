package app

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// ListBindings answers rbac.list_bindings. Ids grow with time, so the oldest
// come first.
func (a *App) ListBindings(ctx context.Context, r *contract.ListBindingsRequest) (*contract.ListBindingsResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(r.Limit, 100)
	query := db.ListBindingsParams{
		TenantID: tenant, UserID: optional(kit.UUID(r.UserID)), GroupID: optional(kit.UUID(r.GroupID)), RoleID: optional(kit.UUID(r.RoleID)),
		UnitID: optional(kit.UUID(r.UnitID)), ResourceType: r.ResourceType, ResourceID: string(r.ResourceID),
		Patterns: patterns(r.Search), Page: int32(limit) + 1,
	}
	if query.After, _, err = readCursor(r.Cursor); err != nil {
		return nil, err
	}
	response := &contract.ListBindingsResponse{Items: []contract.Binding{}}
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := db.New(tx).ListBindings(ctx, query)
		if len(rows) > limit {
			rows = rows[:limit]
			response.NextCursor = cursorOf(rows[limit-1].ID, "")
		}
		for _, row := range rows {
			response.Items = append(response.Items, bindingOf(db.BindingsByIDRow(row)))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
