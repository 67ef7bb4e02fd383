package app

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// erasers are the services that have something of a tenant, beside this one.
var erasers = []string{"audit", "auth", "rbac"}

// beginErasing ends a tenant for good and asks the other services to erase what
// they have of it.
func beginErasing(ctx context.Context, q *db.Queries, row db.TenantTenant, change, reason string, refusal []byte) ([]events.Event, error) {
	row, err := q.BeginErasing(ctx, db.BeginErasingParams{ID: row.ID, Reason: reason, Refusal: refusal})
	if err != nil {
		return nil, err
	}
	erasing, err := erasingEvent(ctx, row)
	if err != nil {
		return nil, err
	}
	return told(ctx, row, changed{change: change, reason: reason, also: []events.Event{erasing}})
}

func erasingEvent(ctx context.Context, row db.TenantTenant) (events.Event, error) {
	return kit.NewEvent(ctx, events.TenantErasing, "", row.Revision, events.TenantErasure{TenantID: row.ID})
}

// erasedBy notes that a service has erased a tenant, and with the last one
// erases what this service has: only the tombstone stays.
func (a *App) erasedBy(ctx context.Context, service string, done events.TenantErasure) error {
	id := kit.UUID(contract.ID(done.TenantID))
	return a.Store.Change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		row, err := q.LockForChange(ctx, id)
		if database.Missing(err) || err == nil && (row.State != contract.TenantErased || row.AskedAt == nil) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		counts, err := json.Marshal(done.Counts)
		if err != nil {
			return nil, err
		}
		if err := q.ConfirmErasure(ctx, db.ConfirmErasureParams{TenantID: id, Service: service, Counts: counts}); err != nil {
			return nil, err
		}
		confirmed, err := q.Erasures(ctx, id)
		if err != nil || len(confirmed) < len(erasers) {
			return nil, err
		}
		return bury(ctx, q, row, confirmed)
	})
}

// bury erases the tenant here, and tells what went everywhere.
func bury(ctx context.Context, q *db.Queries, row db.TenantTenant, confirmed []db.ErasuresRow) ([]events.Event, error) {
	erasure := events.TenantErasure{TenantID: row.ID, Counts: map[string]int64{}}
	for _, by := range confirmed {
		for table, n := range *stored[map[string]int64](by.Counts) {
			erasure.Counts[by.Service+"."+table] = n
		}
	}
	units, err := q.CountUnits(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	erasure.Counts["tenant.units"] = int64(units)
	if err := remove(ctx, q, row.ID, erasure.Counts); err != nil {
		return nil, err
	}
	row, err = q.AddTombstone(ctx, db.AddTombstoneParams{ID: row.ID, Reason: row.Reason, Refusal: row.Refusal, CreatedAt: row.CreatedAt})
	if err != nil {
		return nil, err
	}
	state, err := kit.NewEvent(ctx, events.TenantChanged, row.ID, row.Revision, tenantOf(row))
	if err != nil {
		return nil, err
	}
	erased, err := kit.NewEvent(ctx, events.TenantErased("tenant"), "", row.Revision, erasure)
	return []events.Event{state, erased}, err
}

// remove erases everything of the tenant in this schema.
func remove(ctx context.Context, q *db.Queries, tenant string, counts map[string]int64) (err error) {
	if counts["tenant.settings"], err = q.EraseTenantSettings(ctx, tenant); err != nil {
		return err
	}
	if counts["tenant.settings_history"], err = q.EraseTenantSettingsHistory(ctx, tenant); err != nil {
		return err
	}
	if err := q.LeaveModules(ctx, tenant); err != nil {
		return err
	}
	if err := q.LeaveRollouts(ctx, tenant); err != nil {
		return err
	}
	return q.RemoveTenant(ctx, tenant)
}

// missing are the services that have not confirmed an erasure.
func missing(confirmed []db.ErasuresRow) []string {
	return slices.DeleteFunc(slices.Clone(erasers), func(service string) bool {
		return slices.ContainsFunc(confirmed, func(row db.ErasuresRow) bool { return row.Service == service })
	})
}
