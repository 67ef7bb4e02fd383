package app

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// MoveUnit answers tenant.move_unit. Bindings in the units above hold in the
// unit too, so that a person moves it only where they hold what these give.
func (a *App) MoveUnit(ctx context.Context, r *contract.MoveUnitRequest) (*contract.OrgUnit, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	unit, parent := kit.UUID(r.UnitID), kit.UUID(r.ParentID)
	var asked way
	mover := kit.UserFrom(ctx)
	free := mover.ID == "" || mover.Platform
	if !free {
		if asked, err = a.mayMove(ctx, tenant, unit, parent); err != nil {
			return nil, err
		}
	}
	return a.changeUnit(ctx, tenant, r.UnitID, r.Revision, func(t *tree, row db.TenantUnit, to *db.ChangeUnitParams) error {
		if row.Kind == contract.Company {
			return contract.Errorf(contract.Conflict, "a company stands at the top; it cannot be moved")
		}
		to.ParentID = &parent
		levels, err := t.q.UnitHeight(ctx, db.UnitHeightParams{TenantID: tenant, Unit: row.ID})
		if err != nil {
			return err
		}
		if err := t.place(ctx, row.ID, row.Kind, int(levels), parent); err != nil || free {
			return err
		}
		if now, err := wayOf(ctx, t.q, tenant, unit, parent); err != nil || !now.same(asked) {
			return changedMeanwhile(err)
		}
		return nil
	})
}

func changedMeanwhile(err error) error {
	if err != nil {
		return err
	}
	return contract.Errorf(contract.Conflict, "the tree was changed meanwhile; try again")
}

// mayMove asks rbac whether the caller may move a unit, and returns what was
// asked about. What is no move at all is for others to refuse.
func (a *App) mayMove(ctx context.Context, tenant, unit, parent string) (asked way, err error) {
	err = a.Store.Read(ctx, tenant, func(q *db.Queries) (err error) {
		asked, err = wayOf(ctx, q, tenant, unit, parent)
		return err
	})
	if err != nil || len(asked.enters)+len(asked.leaves) == 0 {
		return asked, err
	}
	_, err = a.Rights.MayMoveUnit(ctx, &contract.MayMoveUnitRequest{
		TenantID: contract.ID(tenant), UnitID: contract.ID(unit), ByUserID: contract.ID(kit.UserFrom(ctx).ID),
		Enters: asked.enters, Leaves: asked.leaves,
	})
	return asked, err
}

// way is what of the units above changes for a unit that is moved.
type way struct{ enters, leaves []string }

func (w way) same(other way) bool {
	return slices.Equal(w.enters, other.enters) && slices.Equal(w.leaves, other.leaves)
}

func wayOf(ctx context.Context, q *db.Queries, tenant, unit, parent string) (way, error) {
	from, err := q.UnitPath(ctx, db.UnitPathParams{TenantID: tenant, Unit: unit})
	if err != nil || len(from) == 0 {
		return way{}, err
	}
	to, err := q.UnitPath(ctx, db.UnitPathParams{TenantID: tenant, Unit: parent})
	if err != nil || len(to) == 0 {
		return way{}, err
	}
	return way{enters: without(to, from), leaves: without(from[:len(from)-1], to)}, nil
}

// without are the ids of units that are not among others.
func without(units, others []db.TenantUnit) (ids []string) {
	for _, u := range units {
		if !slices.ContainsFunc(others, func(other db.TenantUnit) bool { return other.ID == u.ID }) {
			ids = append(ids, u.ID)
		}
	}
	return ids
}
