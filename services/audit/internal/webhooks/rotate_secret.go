package webhooks

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// overlap is for how long the secret before signs too, in seconds, unless the
// request says otherwise.
const overlap = 24 * 60 * 60

// RotateSecret answers audit.rotate_webhook_secret.
func (a *App) RotateSecret(ctx context.Context, r *contract.RotateWebhookSecretRequest) (*contract.WebhookSecret, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	seconds := overlap
	if r.OverlapSeconds != nil {
		seconds = *r.OverlapSeconds
	}
	key := newSecret()
	row, err := a.change(ctx, o, r.WebhookID, r.Revision, func(q *db.Queries, w db.AuditWebhook) (db.AuditWebhook, events.WebhookChange, error) {
		after, err := q.RotateWebhookSecret(ctx, db.RotateWebhookSecretParams{
			ID: w.ID, Secret: a.box.Seal(w.ID, key), Overlap: int32(seconds),
		})
		return after, events.WebhookChange{Change: "secret_rotated"}, err
	})
	if err != nil {
		return nil, err
	}
	return &contract.WebhookSecret{Webhook: webhookOf(row), Secret: written(key)}, nil
}
