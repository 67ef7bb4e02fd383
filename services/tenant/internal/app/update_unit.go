package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// UpdateUnit answers tenant.update_unit.
func (a *App) UpdateUnit(ctx context.Context, r *contract.UpdateUnitRequest) (*contract.OrgUnit, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	if r.Name != nil {
		name, err := unitName(*r.Name)
		if err != nil {
			return nil, err
		}
		r.Name = &name
	}
	var head *string
	if r.HeadUserID != contract.Null {
		if head, err = a.head(ctx, tenant, contract.ID(r.HeadUserID)); err != nil {
			return nil, err
		}
	}
	return a.changeUnit(ctx, tenant, r.UnitID, r.Revision, func(_ *tree, _ db.TenantUnit, to *db.ChangeUnitParams) error {
		if r.Name != nil {
			to.Name = *r.Name
		}
		if r.Code != nil {
			to.Code = *r.Code
		}
		if r.HeadUserID != "" {
			to.HeadUserID = head
		}
		return nil
	})
}

// changeUnit has work say how a unit will be, and writes that if it differs.
func (a *App) changeUnit(ctx context.Context, tenant string, id contract.ID, revision int64,
	work func(t *tree, from db.TenantUnit, to *db.ChangeUnitParams) error,
) (*contract.OrgUnit, error) {
	var changed contract.OrgUnit
	err := a.changeTree(ctx, tenant, func(t *tree) ([]db.TenantUnit, error) {
		row, err := t.unit(ctx, id, revision)
		if err != nil {
			return nil, err
		}
		changed = unitOf(row)
		to := db.ChangeUnitParams{
			TenantID: tenant, ID: row.ID, ParentID: row.ParentID, Code: row.Code, Name: row.Name, HeadUserID: row.HeadUserID,
		}
		if err := work(t, row, &to); err != nil {
			return nil, err
		}
		if textOf(to.ParentID) == textOf(row.ParentID) && to.Code == row.Code && to.Name == row.Name &&
			textOf(to.HeadUserID) == textOf(row.HeadUserID) {
			return nil, nil
		}
		row, err = t.q.ChangeUnit(ctx, to)
		changed = unitOf(row)
		return []db.TenantUnit{row}, err
	})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}
