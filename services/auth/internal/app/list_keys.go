package app

import (
	"cmp"
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// ListKeys answers auth.list_keys.
func (a *App) ListKeys(ctx context.Context, r *contract.ListKeysRequest) (*contract.ListKeysResponse, error) {
	limit := cmp.Or(r.Limit, 50)
	query := db.ListKeysParams{Module: r.Module, Status: r.Status, BeforeAt: time.Now().AddDate(1, 0, 0), Page: int32(limit + 1)}
	response := &contract.ListKeysResponse{Items: []contract.Key{}}
	if ring := keyringOf(ctx); !ring.all {
		if query.Tenant = ring.tenant; query.Tenant == "" {
			return response, nil // to the query, no tenant would be all of them
		}
	}
	if r.Cursor != "" {
		var err error
		if query.BeforeAt, query.BeforeID, err = parseKeyCursor(r.Cursor); err != nil {
			return nil, err
		}
	}
	err := a.read(ctx, func(q *db.Queries) error {
		rows, err := q.ListKeys(ctx, query)
		if len(rows) > limit {
			rows = rows[:limit]
			response.NextCursor = keyCursor(rows[limit-1])
		}
		for _, row := range rows {
			response.Items = append(response.Items, describe(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
