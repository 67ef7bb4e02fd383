package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	replayPage = 5000
	// replayFor leaves the operation time to answer.
	replayFor = 12 * time.Second
)

// Replay answers audit.replay_webhook. It goes in parts, each a transaction,
// which senders begin with while the others follow.
func (a *App) Replay(ctx context.Context, r *contract.ReplayWebhookRequest) (*contract.ReplayWebhookResponse, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	if r.All && r.Since == nil {
		return nil, contract.Invalid("since", "is required with all")
	}
	var began *time.Time // by the clock that settles deliveries
	response, until := &contract.ReplayWebhookResponse{}, time.Now().Add(replayFor)
	for !response.Complete && time.Now().Before(until) {
		n := int64(0)
		err := a.DB.In(ctx, o.tenant, func(tx pgx.Tx) error {
			q := db.New(tx)
			w, err := named(ctx, q, o, r.WebhookID)
			if err != nil {
				return err
			}
			if began == nil {
				now, err := q.DatabaseTime(ctx)
				if err != nil {
					return err
				}
				began = &now
			}
			n, err = q.ReplayDeliveries(ctx, db.ReplayDeliveriesParams{
				WebhookID: w.ID, Began: began, Everything: r.All, Since: r.Since, Page: replayPage,
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		a.Notify()
		response.Deliveries += int(n)
		response.Complete = n < replayPage
	}
	return response, nil
}
