package app

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// BindAdministrator takes in AdministratorReady: the user becomes
// tenant-administrator of the tenant, which is not active yet, and that is told.
// Asked again, it tells the same.
func (a *App) BindAdministrator(ctx context.Context, e events.Event) error {
	p, err := events.Data[events.TenantProvision](e)
	if err != nil {
		return err
	}
	bound, err := kit.NewEvent(ctx, events.AdministratorBound, p.TenantID, p.Revision, p)
	if err != nil {
		return err
	}
	var step *events.PolicyStep
	err = a.DB.In(ctx, p.TenantID, func(tx pgx.Tx) (err error) {
		step, _, err = a.step(ctx, tx, p.TenantID, "binding.created", func(t *turn) ([]contract.PolicyChange, error) {
			return a.bindAdministrator(ctx, t, p)
		})
		if err == nil {
			err = outbox.Add(ctx, tx, bound)
		}
		return err
	})
	if errors.Is(err, &contract.Error{Code: contract.NotFound}) { // the tenant was erased meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	if step != nil {
		a.committed(*step)
	}
	a.Committed()
	return nil
}

func (a *App) bindAdministrator(ctx context.Context, t *turn, p events.TenantProvision) ([]contract.PolicyChange, error) {
	if m, _ := a.Directory.Member(p.UserID); m.Revision > p.Revision && !belongs(m, t.Tenant) {
		return nil, nil // gone since: the tenant begins without them
	}
	roles := []string{TenantAdministrator}
	platform, err := t.Q.BoundPlatformRoles(ctx, db.BoundPlatformRolesParams{TenantID: t.Tenant, Ids: roles})
	if err != nil {
		return nil, err
	}
	// Their membership may not be known here yet; nobody who knows less takes the
	// binding.
	seen := db.SeeUsersParams{TenantID: t.Tenant, Users: []string{p.UserID}, Revisions: []int64{p.Revision}}
	if err := t.Q.SeeUsers(ctx, seen); err != nil {
		return nil, err
	}
	id := kit.NewID()
	n, err := t.Q.BindAdministrator(ctx, db.BindAdministratorParams{
		ID: id, TenantID: t.Tenant, UserID: &p.UserID, RoleID: TenantAdministrator, Revision: t.Revision,
	})
	if err != nil || n == 0 {
		return nil, err
	}
	rows, err := t.Q.RolesByID(ctx, db.RolesByIDParams{Ids: roles, TenantID: t.Tenant})
	if err != nil {
		return nil, err
	}
	var changes []contract.PolicyChange
	if !platform[0].Bound {
		changes = append(changes, roleChange(rows[0]))
	}
	_, told, err := t.made(ctx, []string{id})
	return append(changes, told...), err
}
