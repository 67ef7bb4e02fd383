package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/audit/internal/holds"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// EraseTenant takes in TenantErasing: the tenant's trail ends, goes, and that is
// told. A trail may be long, so it goes in parts, each a transaction, and ingest
// waits for none of them; asked again, it goes on where it was. A trail under a
// legal hold stays as it is, and goes when no hold is left.
func (a *App) EraseTenant(ctx context.Context, e events.Event) error {
	asked, err := events.Data[events.TenantErasure](e)
	if err != nil {
		return err
	}
	records, may := int64(0), false
	err = a.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		if may, err = holds.Erasing(ctx, q, asked.TenantID); err != nil || !may {
			return err
		}
		records, err = q.EndTrail(ctx, asked.TenantID)
		return err
	})
	if err == nil && !may { // it comes again when no hold is left
		return nil
	}
	for n := int64(1); n > 0 && err == nil; {
		err = a.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			n, err = db.New(tx).EraseEvents(ctx, asked.TenantID)
			return err
		})
	}
	if err == nil {
		err = a.EraseCalls(ctx, asked.TenantID)
	}
	if err == nil {
		err = a.EraseWebhooks(ctx, asked.TenantID)
	}
	if err != nil {
		return err
	}
	err = a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		if err := db.New(tx).EraseTree(ctx, asked.TenantID); err != nil {
			return err
		}
		if err := db.New(tx).ErasePersonKeys(ctx, asked.TenantID); err != nil {
			return err
		}
		if err := db.New(tx).EraseCheckpoints(ctx, asked.TenantID); err != nil {
			return err
		}
		if err := db.New(tx).EraseAlerts(ctx, asked.TenantID); err != nil {
			return err
		}
		if err := db.New(tx).EndHeldErasure(ctx, asked.TenantID); err != nil {
			return err
		}
		if err := db.New(tx).EraseRetention(ctx, asked.TenantID); err != nil {
			return err
		}
		if _, err := db.New(tx).ErasePoison(ctx, asked.TenantID); err != nil {
			return err
		}
		told, err := kit.NewEvent(ctx, events.TenantErased("audit"), "", 0,
			events.TenantErasure{TenantID: asked.TenantID, Counts: map[string]int64{"events": records}})
		if err != nil {
			return err
		}
		return outbox.Add(ctx, tx, told)
	})
	if err == nil {
		a.Committed()
	}
	return err
}
