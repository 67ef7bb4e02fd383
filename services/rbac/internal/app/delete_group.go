package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// DeleteGroup answers rbac.delete_group.
func (a *App) DeleteGroup(ctx context.Context, r *contract.DeleteGroupRequest) (*contract.Removal, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	if r.DryRun {
		return a.wouldDeleteGroup(ctx, tenant, r)
	}
	removal := &contract.Removal{}
	at, err := a.change(ctx, tenant, "group.deleted", func(t *turn) ([]contract.PolicyChange, error) {
		of, present, err := lookedAt(ctx, t.Q, tenant, r, removal)
		if err != nil {
			return nil, err
		}
		if err := t.mayGive(ctx, giverOf(ctx), of, true, "group_id"); err != nil {
			return nil, err
		}
		ended, err := t.endBindings(ctx, of)
		if err != nil {
			return nil, err
		}
		if err := t.Q.DeleteGroup(ctx, present.ID); err != nil {
			return nil, err
		}
		changes := []contract.PolicyChange{{Group: &contract.PolicyGroup{ID: present.ID, Name: present.Name, Removed: true}}}
		unbound, err := t.unbound(ctx, present.Roles)
		return append(append(changes, ended...), unbound...), err
	})
	if err != nil {
		return nil, err
	}
	removal.Revision = at
	return removal, nil
}

// lookedAt adds to a removal what the end of the group takes away.
func lookedAt(ctx context.Context, q *db.Queries, tenant string, r *contract.DeleteGroupRequest, removal *contract.Removal) (ending, db.GroupRow, error) {
	present, err := group(ctx, q, tenant, r.GroupID)
	if err == nil {
		err = unchanged("group", present.Revision, r.Revision)
	}
	of := ending{group: present.ID}
	if err == nil {
		err = of.add(ctx, q, tenant, removal)
	}
	return of, present, err
}

func (a *App) wouldDeleteGroup(ctx context.Context, tenant string, r *contract.DeleteGroupRequest) (*contract.Removal, error) {
	removal := &contract.Removal{DryRun: true}
	err := a.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		if _, _, err = lookedAt(ctx, q, tenant, r, removal); err == nil {
			removal.Revision, err = presentRevision(ctx, q, tenant)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return removal, nil
}
