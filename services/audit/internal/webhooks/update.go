package webhooks

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Update answers audit.update_webhook.
func (a *App) Update(ctx context.Context, r *contract.UpdateWebhookRequest) (*contract.Webhook, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	if r.URL != nil {
		if err := checkURL(*r.URL, a.AllowPrivate); err != nil {
			return nil, err
		}
	}
	row, err := a.change(ctx, o, r.WebhookID, r.Revision, func(q *db.Queries, before db.AuditWebhook) (db.AuditWebhook, events.WebhookChange, error) {
		change := db.UpdateWebhookParams{
			ID: before.ID, Url: before.Url, Types: before.Types, Description: before.Description,
			KeyID: before.KeyID, Enabled: before.Enabled, DisabledReason: before.DisabledReason,
		}
		fields := []string{}
		if r.URL != nil {
			change.Url, fields = *r.URL, append(fields, "url")
		}
		if r.Types != nil {
			change.Types, fields = *r.Types, append(fields, "types")
		}
		if r.Description != nil {
			change.Description, fields = *r.Description, append(fields, "description")
		}
		if r.Enabled != nil && *r.Enabled != before.Enabled {
			change.Enabled, change.DisabledReason = *r.Enabled, "somebody disabled it"
			if change.Enabled { // by a key that is good: with that one it ends
				change.KeyID, change.DisabledReason = o.keyID, ""
			}
			fields = append(fields, "enabled")
		}
		after, err := q.UpdateWebhook(ctx, change)
		return after, events.WebhookChange{Change: "updated", Fields: fields}, err
	})
	if err != nil {
		return nil, err
	}
	a.Notify() // what waited
	webhook := webhookOf(row)
	return &webhook, nil
}
