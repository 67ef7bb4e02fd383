package webhooks

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Delete answers audit.delete_webhook. Its deliveries are nobody's from then on,
// and swept.
func (a *App) Delete(ctx context.Context, r *contract.DeleteWebhookRequest) (*contract.Empty, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	_, err = a.change(ctx, o, r.WebhookID, r.Revision, func(q *db.Queries, w db.AuditWebhook) (db.AuditWebhook, events.WebhookChange, error) {
		w.Revision++
		return w, events.WebhookChange{Change: "deleted"}, q.DeleteWebhook(ctx, w.ID)
	})
	if err != nil {
		return nil, err
	}
	return &contract.Empty{}, nil
}
