package webhooks

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Deliveries answers audit.list_deliveries. The cursor is the last id of the
// page before; ids grow with time.
func (a *App) Deliveries(ctx context.Context, r *contract.ListDeliveriesRequest) (*contract.ListDeliveriesResponse, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	before, err := cursor(r.Cursor, uuid.Max)
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(r.Limit, 50)
	query := db.ListDeliveriesParams{Before: before, Since: r.Since, Until: r.Until, Page: int32(limit + 1)}
	if r.State != "" {
		query.State = &r.State
	}
	response := &contract.ListDeliveriesResponse{Items: []contract.Delivery{}}
	err = a.read(ctx, o, r.WebhookID, func(q *db.Queries, w db.AuditWebhook) error {
		query.WebhookID = w.ID
		rows, err := q.ListDeliveries(ctx, query)
		if len(rows) > limit {
			rows = rows[:limit]
			response.NextCursor = rows[limit-1].ID
		}
		for _, row := range rows {
			response.Items = append(response.Items, deliveryOf(db.GetDeliveryRow(row)))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// Delivery answers audit.get_delivery.
func (a *App) Delivery(ctx context.Context, r *contract.DeliveryRequest) (*contract.DeliveryDetail, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	detail := &contract.DeliveryDetail{Attempts: []contract.DeliveryAttempt{}}
	err = a.read(ctx, o, r.WebhookID, func(q *db.Queries, w db.AuditWebhook) error {
		row, err := q.GetDelivery(ctx, db.GetDeliveryParams{WebhookID: w.ID, ID: kit.UUID(r.DeliveryID)})
		if database.Missing(err) {
			return contract.Missing("delivery")
		}
		if err != nil {
			return err
		}
		detail.Delivery = deliveryOf(row)
		attempts, err := q.LastAttempts(ctx, row.ID)
		for _, at := range slices.Backward(attempts) {
			detail.Attempts = append(detail.Attempts, contract.DeliveryAttempt{
				Number: int(at.Number), Time: at.At.UTC(), Status: int(at.Status), LatencyMS: int(at.LatencyMs), Answer: at.Answer, Error: at.Error,
			})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return detail, nil
}

// Retry answers audit.retry_delivery.
func (a *App) Retry(ctx context.Context, r *contract.DeliveryRequest) (*contract.Delivery, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	var delivery contract.Delivery
	err = a.DB.In(ctx, o.tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		w, err := named(ctx, q, o, r.WebhookID)
		if err != nil {
			return err
		}
		row, err := q.RetryDelivery(ctx, db.RetryDeliveryParams{WebhookID: w.ID, ID: kit.UUID(r.DeliveryID)})
		if database.Missing(err) {
			return contract.Missing("delivery")
		}
		delivery = deliveryOf(db.GetDeliveryRow(row))
		return err
	})
	if err != nil {
		return nil, err
	}
	a.Notify()
	return &delivery, nil
}

func deliveryOf(row db.GetDeliveryRow) contract.Delivery {
	d := contract.Delivery{
		ID: row.ID, WebhookID: row.WebhookID, EventID: row.EventID, EventType: row.EventType, TenantID: row.EventTenant,
		EventTime: row.EventTime.UTC(), State: row.State, Attempts: int(row.Attempts),
		CreatedAt: row.CreatedAt.UTC(), SettledAt: utc(row.SettledAt),
	}
	if row.State == "waiting" {
		d.NextAttemptAt = utc(&row.DueAt)
	}
	return d
}
