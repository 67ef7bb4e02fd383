package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// defaultGrace is for how many days a deleted tenant may be restored.
const defaultGrace = 30

// goesToo is what is erased with a tenant beside what is counted.
var goesToo = []string{
	"sessions, passwords, second factors and invitations of its people",
	"API keys that are good for this tenant only",
	"roles, groups and bindings", "settings and menu", "the audit trail, but for the record that the tenant was erased",
}

// Delete answers tenant.delete. A tenant that is still being made has nothing to
// restore: it is erased at once.
func (a *App) Delete(ctx context.Context, r *contract.DeleteTenantRequest) (*contract.TenantRemoval, error) {
	grace := int32(defaultGrace)
	if r.GraceDays != nil {
		grace = int32(*r.GraceDays)
	}
	removal, err := a.removal(ctx, r, grace)
	if err != nil || r.DryRun {
		return removal, err
	}
	state, err := a.changeTenant(ctx, r.TenantID, r.Revision, func(q *db.Queries, row db.TenantTenant) (db.TenantTenant, changed, error) {
		if row.State == contract.TenantDeleting {
			return row, changed{}, contract.Errorf(contract.Conflict, "the tenant is deleted already, and erased at %s; restore it, or wait", row.DeleteAt.UTC().Format("2006-01-02T15:04:05Z"))
		}
		done := changed{change: "deleted", reason: r.Reason}
		if row.State == contract.TenantProvisioning {
			row, err := q.BeginErasing(ctx, db.BeginErasingParams{ID: row.ID, Reason: r.Reason})
			if err != nil {
				return row, done, err
			}
			erasing, err := erasingEvent(ctx, row)
			done.also = []events.Event{erasing}
			return row, done, err
		}
		row, err := q.MarkDeleted(ctx, db.MarkDeletedParams{ID: row.ID, Reason: r.Reason, GraceDays: grace})
		return row, done, err
	})
	if err != nil {
		return nil, err
	}
	if grace == 0 && a.Due != nil {
		a.Due()
	}
	removal.State, removal.Revision = state.State, state.Revision
	if state.DeleteAt != nil {
		removal.DeleteAt = *state.DeleteAt
	}
	return removal, nil
}

// removal is what a deletion would take now.
func (a *App) removal(ctx context.Context, r *contract.DeleteTenantRequest, grace int32) (*contract.TenantRemoval, error) {
	id := kit.UUID(r.TenantID)
	removal := &contract.TenantRemoval{DryRun: r.DryRun, Also: goesToo}
	err := a.Store.Read(ctx, id, func(q *db.Queries) error {
		row, err := q.Tenant(ctx, id)
		if err == nil && row.State == contract.TenantErased {
			return contract.Missing("tenant")
		}
		if err != nil {
			return err
		}
		removal.State, removal.Revision = row.State, row.Revision
		units, err := q.CountUnits(ctx, id)
		if err != nil {
			return err
		}
		removal.Units = int(units)
		if removal.DeleteAt, err = q.DeleteAt(ctx, grace); err != nil {
			return err
		}
		removal.Modules, err = q.EnabledModules(ctx, id)
		return err
	})
	if database.Missing(err) {
		return nil, contract.Missing("tenant")
	}
	if err != nil {
		return nil, err
	}
	if removal.Modules == nil {
		removal.Modules = []string{}
	}
	people, homes := a.Directory.People(id)
	removal.Users, removal.Members = homes, people-homes
	return removal, nil
}
