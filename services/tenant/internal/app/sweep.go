package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// patience is after how long services that have not confirmed a step are asked
// again: the stream may have dropped the question while one of them was away.
const patience = time.Minute

// Sweep ends the tenants whose days of grace are over, and asks again where a
// step waits for long. Replicas may do it at once: each tenant is one's.
func (a *App) Sweep(ctx context.Context) error {
	for _, next := range []func(context.Context, *db.Queries) (events []events.Event, found bool, err error){eraseDue, askAgain} {
		for found := true; found; {
			err := a.Store.Change(ctx, database.Everything, func(q *db.Queries) (happened []events.Event, err error) {
				happened, found, err = next(ctx, q)
				return happened, err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func eraseDue(ctx context.Context, q *db.Queries) ([]events.Event, bool, error) {
	row, err := q.DueTenant(ctx)
	if database.Missing(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	happened, err := beginErasing(ctx, q, row, "erasing", row.Reason, nil)
	return happened, true, err
}

func askAgain(ctx context.Context, q *db.Queries) ([]events.Event, bool, error) {
	row, err := q.SilentTenant(ctx, patience.Seconds())
	if database.Missing(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	e, err := question(ctx, row)
	return []events.Event{e}, true, err
}

// question is the event that asks for what the tenant waits for, from the first
// step on: whoever did theirs confirms it again.
func question(ctx context.Context, row db.TenantTenant) (events.Event, error) {
	if row.State == contract.TenantErased {
		return erasingEvent(ctx, row)
	}
	return kit.NewEvent(ctx, events.TenantProvisioning, row.ID, row.Revision, json.RawMessage(row.Provision))
}
