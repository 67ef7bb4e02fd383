package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// PutUnit answers tenant.put_unit.
func (a *App) PutUnit(ctx context.Context, r *contract.PutUnitRequest) (*contract.OrgUnit, error) {
	tenant := kit.UUID(r.TenantID)
	var unit contract.OrgUnit
	err := a.Store.Change(ctx, tenant, func(q *db.Queries) ([]events.Event, error) {
		if _, err := q.LockUnits(ctx, tenant); database.Missing(err) {
			return nil, contract.Missing("tenant")
		} else if err != nil {
			return nil, err
		}
		put := db.PutUnitParams{TenantID: tenant, ID: kit.UUID(r.UnitID), Kind: r.Kind, Name: r.Name, Removed: r.Removed}
		if parent := kit.UUID(r.ParentID); parent != "" {
			put.ParentID = &parent
		}
		if err := checkUnit(ctx, q, &put); err != nil {
			return nil, err
		}
		row, err := q.PutUnit(ctx, put)
		if err != nil {
			return nil, err
		}
		unit = unitOf(row)
		e, err := kit.NewEvent(ctx, events.UnitChanged, tenant, unit.Revision, unit)
		return []events.Event{e}, err
	})
	if err != nil {
		return nil, err
	}
	a.Directory.PutUnit(unit)
	return &unit, nil
}

// checkUnit keeps the tree a tree, and completes what is to be put.
func checkUnit(ctx context.Context, q *db.Queries, put *db.PutUnitParams) error {
	known := put.ID != ""
	if known {
		present, err := q.GetUnit(ctx, db.GetUnitParams{TenantID: put.TenantID, ID: put.ID})
		if database.Missing(err) || (err == nil && present.Removed) {
			return contract.Missing("unit")
		}
		if err != nil {
			return err
		}
		if present.Kind != put.Kind {
			return contract.Invalid("kind", "cannot be changed: the unit is a %s", present.Kind)
		}
	} else {
		put.ID = kit.NewID()
	}
	if (put.ParentID == nil) != (put.Kind == "company") {
		return contract.Invalid("parent_id", "is what every unit but a company has")
	}
	if put.Removed {
		below, err := q.UnitHasChildren(ctx, db.UnitHasChildrenParams{TenantID: put.TenantID, ParentID: &put.ID})
		if err == nil && below {
			return contract.Errorf(contract.Conflict, "there are units below it; remove those first")
		}
		return err
	}
	if put.ParentID == nil {
		return nil
	}
	parent, err := q.GetUnit(ctx, db.GetUnitParams{TenantID: put.TenantID, ID: *put.ParentID})
	if database.Missing(err) || (err == nil && parent.Removed) {
		return &contract.Error{Code: contract.NotFound, Field: "parent_id", Message: "no such unit"}
	}
	if err != nil {
		return err
	}
	if put.Kind == "branch" && parent.Kind != "company" {
		return contract.Invalid("parent_id", "must be a company: a branch is in one")
	}
	below, err := q.UnitIsBelow(ctx, db.UnitIsBelowParams{TenantID: put.TenantID, Unit: *put.ParentID, Ancestor: put.ID})
	if err == nil && known && below {
		return contract.Errorf(contract.Conflict, "the unit cannot be moved below itself")
	}
	return err
}

func unitOf(row db.TenantUnit) contract.OrgUnit {
	unit := contract.OrgUnit{
		TenantID: row.TenantID, ID: row.ID, Kind: row.Kind, Name: row.Name, Removed: row.Removed, Revision: row.Revision,
	}
	if row.ParentID != nil {
		unit.ParentID = *row.ParentID
	}
	return unit
}
