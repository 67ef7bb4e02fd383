package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// RestoreUnit answers tenant.restore_unit.
func (a *App) RestoreUnit(ctx context.Context, r *contract.RestoreUnitRequest) (*contract.OrgUnit, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var restored contract.OrgUnit
	err = a.changeTree(ctx, tenant, func(t *tree) ([]db.TenantUnit, error) {
		unit, err := t.any(ctx, r.UnitID, r.Revision)
		if err != nil {
			return nil, err
		}
		if !unit.Removed {
			return nil, contract.Errorf(contract.Conflict, "the unit is not deleted")
		}
		ids, levels := []string{unit.ID}, 1
		if r.WithBelow {
			if ids, levels, err = t.removedWith(ctx, unit.ID); err != nil {
				return nil, err
			}
		}
		if err := a.mayComeBack(ctx, t, unit, levels); err != nil {
			return nil, err
		}
		rows, err := t.q.RestoreUnits(ctx, db.RestoreUnitsParams{TenantID: tenant, Ids: ids})
		if err != nil {
			return nil, err
		}
		rows = inOrder(rows, ids)
		restored = unitOf(rows[0])
		return rows, nil
	})
	var taken *contract.Error
	if errors.As(err, &taken) && taken.Code == contract.AlreadyExists {
		taken.Message = "its code was given to another unit meanwhile; give that one another code"
	}
	if err != nil {
		return nil, err
	}
	return &restored, nil
}

// mayComeBack answers whether a removed unit, with so many levels, may be where
// it was.
func (a *App) mayComeBack(ctx context.Context, t *tree, unit db.TenantUnit, levels int) error {
	if unit.ParentID == nil {
		return a.withinCompanies(ctx, t.q, t.tenant)
	}
	parent, err := t.q.Unit(ctx, db.UnitParams{TenantID: t.tenant, ID: *unit.ParentID})
	if err != nil {
		return err
	}
	if parent.Removed {
		return contract.Errorf(contract.Conflict, "it was in %s %q, which is deleted; restore that first", parent.Kind, parent.Name)
	}
	return t.place(ctx, unit.ID, unit.Kind, levels, parent.ID)
}

// removedWith are a removed unit and those below it that went with it, from
// above, and how many levels they are.
func (t *tree) removedWith(ctx context.Context, unit string) (ids []string, levels int, err error) {
	rows, err := t.q.UnitsRemovedWith(ctx, db.UnitsRemovedWithParams{TenantID: t.tenant, Unit: unit})
	for _, row := range rows {
		ids, levels = append(ids, row.ID), int(row.Level)
	}
	return ids, levels, err
}
