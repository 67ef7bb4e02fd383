package app

import (
	"context"
	"fmt"
	"time"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// KeepKeys writes down, until ctx ends and once more then, when keys were used
// and whom the bus refused, and warns of keys that are about to end. Replicas
// do it beside each other.
func (a *App) KeepKeys(ctx context.Context) {
	second, half, five := time.NewTicker(time.Second), time.NewTicker(30*time.Second), time.NewTicker(5*time.Minute)
	defer func() { second.Stop(); half.Stop(); five.Stop() }()
	a.keep(ctx, "warning of keys that are about to end", a.warnOfKeys)
	for {
		select {
		case <-second.C:
			a.keep(ctx, "recording refusals of the bus", a.writeRefusals)
		case <-half.C:
			a.keep(ctx, "recording uses of keys", a.writeKeyUses)
		case <-five.C:
			a.keep(ctx, "warning of keys that are about to end", a.warnOfKeys)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			a.keep(last, "recording refusals of the bus", a.writeRefusals)
			a.keep(last, "recording uses of keys", a.writeKeyUses)
			return
		}
	}
}

func (a *App) keep(ctx context.Context, what string, work func(context.Context) error) {
	if err := work(ctx); err != nil && ctx.Err() == nil {
		a.Log.Warn("auth: keys not kept; will try again", "work", what, "error", err)
	}
}

// warnOfKeys tells, once each, of keys that end within seven days and within
// one.
func (a *App) warnOfKeys(ctx context.Context) error {
	for more := true; more; {
		err := a.change(ctx, database.Everything, func(q *db.Queries) (happened []events.Event, err error) {
			rows, err := q.WarnOfKeys(ctx)
			more = len(rows) > 0
			for i := 0; i < len(rows) && err == nil; i++ {
				row := rows[i]
				var warning events.Event
				warning, err = keyEvent(ctx, events.KeyExpiring, row.Tenants, events.KeyChange{
					ID: row.ID, Module: row.Module, ExpiresAt: row.ExpiresAt, Reason: fmt.Sprintf("ends within %d days", *row.WarnedDays),
				})
				happened = append(happened, warning)
			}
			return happened, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
