package webhooks

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Create answers audit.create_webhook.
func (a *App) Create(ctx context.Context, r *contract.CreateWebhookRequest) (*contract.WebhookSecret, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	if err := checkURL(r.URL, a.AllowPrivate); err != nil {
		return nil, err
	}
	tenants, err := o.tenants(r.Tenants)
	if err != nil {
		return nil, err
	}
	types := r.Types
	if len(types) == 0 {
		types = []string{"**"}
	}
	id, key := kit.NewID(), newSecret()
	var row db.AuditWebhook
	err = a.DB.In(ctx, o.tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := q.LockWebhookOwner(ctx, db.LockWebhookOwnerParams{TenantID: o.tenant, Module: o.module}); err != nil {
			return err
		}
		n, err := q.CountWebhooks(ctx, db.CountWebhooksParams{TenantID: o.tenant, Module: o.module})
		if err != nil {
			return err
		}
		if n >= contract.MaxWebhooks {
			return contract.Errorf(contract.Conflict, "there are %d webhooks, as many as there may be; delete one, or have one take more types", n)
		}
		row, err = q.CreateWebhook(ctx, db.CreateWebhookParams{
			ID: id, TenantID: o.tenant, Module: o.module, KeyID: o.keyID, Tenants: tenants,
			Url: r.URL, Types: types, Description: r.Description, Secret: a.box.Seal(id, key),
		})
		if err != nil {
			return err
		}
		return tell(ctx, tx, events.WebhookChanged, row, events.WebhookChange{Change: "created"})
	})
	if err != nil {
		return nil, err
	}
	a.Committed()
	return &contract.WebhookSecret{Webhook: webhookOf(row), Secret: written(key)}, nil
}
