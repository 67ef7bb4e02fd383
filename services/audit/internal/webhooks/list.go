package webhooks

import (
	"cmp"
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// List answers audit.list_webhooks. The cursor is the last id of the page
// before.
func (a *App) List(ctx context.Context, r *contract.ListWebhooksRequest) (*contract.ListWebhooksResponse, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	after, err := cursor(r.Cursor, uuid.Nil)
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(r.Limit, 50)
	response := &contract.ListWebhooksResponse{Items: []contract.Webhook{}}
	err = a.DB.Read(ctx, o.tenant, func(tx pgx.Tx) error {
		rows, err := db.New(tx).ListWebhooks(ctx, db.ListWebhooksParams{
			TenantID: o.tenant, Module: o.module, After: after, Allowed: o.allowed, Page: int32(limit + 1),
		})
		if len(rows) > limit {
			rows = rows[:limit]
			response.NextCursor = rows[limit-1].ID
		}
		for _, row := range rows {
			response.Items = append(response.Items, webhookOf(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// cursor reads an id, or gives the one to begin at.
func cursor(raw string, begin uuid.UUID) (string, error) {
	if raw == "" {
		return begin.String(), nil
	}
	id, err := uuid.Parse(raw)
	if err != nil {
		return "", contract.Invalid("cursor", "is not a cursor that this operation gave out")
	}
	return id.String(), nil
}
