package webhooks

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Get answers audit.get_webhook.
func (a *App) Get(ctx context.Context, r *contract.WebhookRequest) (*contract.Webhook, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	var webhook contract.Webhook
	err = a.read(ctx, o, r.WebhookID, func(_ *db.Queries, row db.AuditWebhook) error {
		webhook = webhookOf(row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &webhook, nil
}
