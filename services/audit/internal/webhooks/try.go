package webhooks

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Test answers audit.test_webhook once the attempt is over. It says nothing
// about the webhook's record: a test that fails disables nothing.
func (a *App) Test(ctx context.Context, r *contract.WebhookRequest) (*contract.DeliveryDetail, error) {
	o, err := a.owner(ctx, r.TenantID, r.Module)
	if err != nil {
		return nil, err
	}
	var d db.ClaimDeliveriesRow
	err = a.DB.In(ctx, o.tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		w, err := named(ctx, q, o, r.WebhookID)
		if err != nil {
			return err
		}
		d, err = a.testDelivery(ctx, q, w)
		return err
	})
	if err != nil {
		return nil, err
	}
	t := a.send(ctx, d)
	state := "sent"
	if t.err != "" {
		state = "failed"
	}
	// Noted even when the caller waits no longer: its lease ends, and senders
	// would send it again.
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Lease)
	defer cancel()
	err = a.DB.In(noting, o.tenant, func(tx pgx.Tx) error { return a.note(noting, db.New(tx), d, t, state, 0) })
	if err != nil {
		return nil, err
	}
	return a.Delivery(ctx, &contract.DeliveryRequest{
		TenantID: r.TenantID, Module: r.Module, WebhookID: r.WebhookID, DeliveryID: contract.ID(d.ID),
	})
}

// testDelivery is a delivery to try the webhook with, leased.
func (a *App) testDelivery(ctx context.Context, q *db.Queries, w db.AuditWebhook) (db.ClaimDeliveriesRow, error) {
	tenant := w.TenantID
	if w.Module != "" {
		tenant = ""
	}
	e, err := kit.NewEvent(ctx, events.WebhookTest, tenant, w.Revision, events.WebhookChange{ID: w.ID, Module: w.Module, Change: "test"})
	if err != nil {
		return db.ClaimDeliveriesRow{}, err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return db.ClaimDeliveriesRow{}, err
	}
	d := db.ClaimDeliveriesRow{
		ID: kit.NewID(), TenantID: w.TenantID, WebhookID: w.ID, EventID: e.ID(), EventType: events.WebhookTest.Name(), EventTenant: w.TenantID,
		Body: body, Url: w.Url, Secret: w.Secret, OldSecret: w.OldSecret, OldUntil: w.OldUntil, Module: w.Module, Tenants: w.Tenants,
	}
	d.LeasedUntil, err = q.AddTestDelivery(ctx, db.AddTestDeliveryParams{
		ID: d.ID, TenantID: d.TenantID, WebhookID: d.WebhookID, EventID: d.EventID, EventType: d.EventType, EventTenant: d.EventTenant,
		EventTime: e.Time(), Body: body, LeaseSeconds: a.Lease.Seconds(),
	})
	return d, err
}
