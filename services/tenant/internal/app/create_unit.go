package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// CreateUnit answers tenant.create_unit.
func (a *App) CreateUnit(ctx context.Context, r *contract.CreateUnitRequest) (*contract.OrgUnit, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	unit := db.CreateUnitParams{TenantID: tenant, ID: kit.NewID(), Kind: r.Kind, Code: r.Code}
	if unit.Name, err = unitName(r.Name); err != nil {
		return nil, err
	}
	switch parent := kit.UUID(r.ParentID); {
	case r.Kind == contract.Company && parent != "":
		return nil, contract.Invalid("parent_id", "must be left out: a company stands at the top")
	case r.Kind != contract.Company && parent == "":
		return nil, contract.Invalid("parent_id", "is required: a %s is in another unit", r.Kind)
	case parent != "":
		unit.ParentID = &parent
	}
	if unit.HeadUserID, err = a.head(ctx, tenant, r.HeadUserID); err != nil {
		return nil, err
	}
	var created contract.OrgUnit
	err = a.changeTree(ctx, tenant, func(t *tree) ([]db.TenantUnit, error) {
		if err := a.mayBe(ctx, t, unit); err != nil {
			return nil, err
		}
		row, err := t.q.CreateUnit(ctx, unit)
		created = unitOf(row)
		return []db.TenantUnit{row}, err
	})
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// mayBe answers whether there may be a new unit.
func (a *App) mayBe(ctx context.Context, t *tree, unit db.CreateUnitParams) error {
	if unit.ParentID == nil {
		return a.withinCompanies(ctx, t.q, t.tenant)
	}
	return t.place(ctx, unit.ID, unit.Kind, 1, *unit.ParentID)
}
