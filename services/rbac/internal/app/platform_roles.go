package app

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// errBoundMeanwhile says that a tenant bound the role while others were locked.
var errBoundMeanwhile = errors.New("the role was bound in another tenant meanwhile")

// changePlatformRole changes a role of the platform, in one transaction: a step
// in each tenant that binds it, by work in the tenant's turn, and then one of the
// platform's own, by work in a turn of Platform.
func (a *App) changePlatformRole(ctx context.Context, id, what string, revision int64,
	work func(*turn, db.RbacRole) ([]contract.PolicyChange, error),
) error {
	for range 10 {
		var steps []events.PolicyStep
		err := a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
			present, tenants, err := lockPlatformRole(ctx, db.New(tx), id)
			if err == nil {
				err = unchanged("role", present.Revision, revision)
			}
			for _, tenant := range append(tenants, Platform) {
				if err != nil {
					return err
				}
				var step *events.PolicyStep
				step, _, err = a.step(ctx, tx, tenant, what, func(t *turn) ([]contract.PolicyChange, error) { return work(t, present) })
				if step != nil {
					steps = append(steps, *step)
				}
			}
			return err
		})
		if errors.Is(err, errBoundMeanwhile) {
			continue
		}
		if err == nil {
			for _, step := range steps {
				a.committed(step)
			}
		}
		return err
	}
	return contract.Errorf(contract.Conflict, "the role is being bound in more and more tenants; try again")
}

// lockPlatformRole locks the role and every tenant that binds it: tenants in the
// order of their ids and the role last, as a tenant's change that binds it does,
// so that nobody waits in a circle.
func lockPlatformRole(ctx context.Context, q *db.Queries, id string) (row db.RbacRole, tenants []string, err error) {
	tenants, err = q.RoleTenants(ctx, id)
	if err != nil {
		return row, nil, err
	}
	for _, tenant := range append([]string{Platform}, tenants...) {
		if _, err := q.LockRevision(ctx, tenant); err != nil && !database.Missing(err) { // erased meanwhile
			return row, nil, err
		}
	}
	row, err = q.LockPlatformRole(ctx, id)
	if database.Missing(err) {
		return row, nil, contract.Missing("role")
	}
	if err != nil {
		return row, nil, err
	}
	bound, err := q.RoleTenants(ctx, id)
	if err != nil {
		return row, nil, err
	}
	for _, tenant := range bound {
		if !slices.Contains(tenants, tenant) {
			return row, nil, errBoundMeanwhile
		}
	}
	return row, bound, nil
}
