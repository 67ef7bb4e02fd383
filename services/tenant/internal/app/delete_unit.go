package app

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// maxNamed is how many of the units that go are named.
const maxNamed = 100

// DeleteUnit answers tenant.delete_unit.
func (a *App) DeleteUnit(ctx context.Context, r *contract.DeleteUnitRequest) (*contract.UnitRemoval, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	removal := &contract.UnitRemoval{DryRun: r.DryRun}
	err = a.changeTree(ctx, tenant, func(t *tree) ([]db.TenantUnit, error) {
		unit, err := t.unit(ctx, r.UnitID, r.Revision)
		if err != nil {
			return nil, err
		}
		going, err := t.q.UnitsBelow(ctx, db.UnitsBelowParams{TenantID: tenant, Unit: unit.ID})
		if err != nil {
			return nil, err
		}
		if below := len(going) - 1; below > 0 && !r.WithBelow {
			return nil, contract.Errorf(contract.Conflict, "units are below it, %d of them; move or delete them first, or delete it with with_below", below)
		}
		removal.Units, removal.Revision = len(going), unit.Revision
		removal.Items = make([]contract.UnitName, min(len(going), maxNamed))
		for i := range removal.Items {
			removal.Items[i] = nameOf(going[i].TenantUnit)
		}
		if r.DryRun {
			return nil, nil
		}
		ids := make([]string, len(going))
		for i, row := range going {
			ids[i] = row.TenantUnit.ID
		}
		rows, err := t.q.RemoveUnits(ctx, db.RemoveUnitsParams{TenantID: tenant, RemovedWith: unit.ID, Ids: ids})
		rows = inOrder(rows, ids)
		if err == nil {
			removal.Revision = rows[0].Revision
		}
		// From below: nobody is told of a unit that is in one that is gone.
		slices.Reverse(rows)
		return rows, err
	})
	if err != nil {
		return nil, err
	}
	return removal, nil
}

// inOrder sorts rows as their ids are.
func inOrder(rows []db.TenantUnit, ids []string) []db.TenantUnit {
	at := make(map[string]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	slices.SortFunc(rows, func(a, b db.TenantUnit) int { return at[a.ID] - at[b.ID] })
	return rows
}
