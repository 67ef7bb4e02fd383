package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// EraseTenant takes in TenantErasing: the tenant's policy goes in one
// transaction, and that is told. Its last step makes it inactive to whoever
// still holds it. Asked again, it tells the same.
func (a *App) EraseTenant(ctx context.Context, e events.Event) error {
	asked, err := events.Data[events.TenantErasure](e)
	if err != nil {
		return err
	}
	done := events.TenantErasure{TenantID: asked.TenantID}
	var step *events.PolicyStep
	err = a.DB.In(ctx, asked.TenantID, func(tx pgx.Tx) error {
		q := db.New(tx)
		row, err := q.LockErased(ctx, asked.TenantID)
		if err != nil {
			return err
		}
		if row.Erased != nil {
			err = json.Unmarshal(row.Erased, &done.Counts)
		} else {
			step, err = erase(ctx, tx, &turn{Q: q, Tenant: asked.TenantID, Revision: row.Revision + 1}, &done)
		}
		if err != nil {
			return err
		}
		told, err := kit.NewEvent(ctx, events.TenantErased("rbac"), "", 0, done)
		if err != nil {
			return err
		}
		return outbox.Add(ctx, tx, told)
	})
	if err != nil {
		return err
	}
	if step != nil {
		a.committed(*step)
	}
	a.Engine.Drop(asked.TenantID)
	a.Committed()
	return nil
}

// erase removes everything of the tenant but the mark that it is erased.
func erase(ctx context.Context, tx pgx.Tx, t *turn, done *events.TenantErasure) (*events.PolicyStep, error) {
	done.Counts = map[string]int64{}
	for _, table := range []struct {
		name  string
		erase func(context.Context, string) (int64, error)
	}{
		{"bindings", t.Q.EraseBindings},
		{"members", t.Q.EraseMembers},
		{"groups", t.Q.EraseGroups},
		{"roles", t.Q.EraseRoles},
		{"users", t.Q.EraseUsers},
		{"units", t.Q.EraseUnits},
		{"modules", t.Q.EraseModules},
		{"tenants", t.Q.EraseTenantState},
	} {
		n, err := table.erase(ctx, t.Tenant)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table.name, err)
		}
		done.Counts[table.name] = n
	}
	counts, err := json.Marshal(done.Counts)
	if err != nil {
		return nil, err
	}
	if err := t.Q.MarkErased(ctx, db.MarkErasedParams{TenantID: t.Tenant, Counts: counts}); err != nil {
		return nil, err
	}
	return t.record(ctx, tx, "tenant.erased", []contract.PolicyChange{{Tenant: &contract.PolicyTenant{Active: false}}})
}

// ForgetGuests takes in GuestsErased: people who were erased with their tenant
// lose what they had in others.
func (a *App) ForgetGuests(ctx context.Context, e events.Event) error {
	gone, err := events.Data[events.TenantGuests](e)
	if err != nil {
		return err
	}
	for _, guest := range gone.Guests {
		for _, tenant := range guest.Tenants {
			if err := a.forgetGuest(ctx, tenant, guest); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetGuest is what TakeIn does about somebody who left: it happened elsewhere,
// and nothing of it can be refused.
func (a *App) forgetGuest(ctx context.Context, tenant string, guest contract.Member) error {
	var step *events.PolicyStep
	err := a.DB.In(ctx, tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		revision, err := q.LockRevision(ctx, tenant)
		if database.Missing(err) { // erased too
			return nil
		}
		if err != nil {
			return err
		}
		held, err := q.LoadUsers(ctx, db.LoadUsersParams{Tenants: []string{tenant}, Users: []string{guest.UserID}})
		if err != nil || len(held) == 0 {
			return err
		}
		t := &turn{Q: q, Tenant: tenant, Revision: revision + 1}
		if err := t.removeUser(ctx, db.PutPolicyUserParams{TenantID: tenant, UserID: guest.UserID, SourceRevision: guest.Revision}); err != nil {
			return err
		}
		step, err = t.record(ctx, tx, "state.changed", []contract.PolicyChange{{User: &contract.PolicyUser{ID: guest.UserID, Removed: true}}})
		return err
	})
	if err == nil && step != nil {
		a.committed(*step)
	}
	return err
}
