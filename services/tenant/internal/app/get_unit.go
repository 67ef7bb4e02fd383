package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// GetUnit answers tenant.get_unit.
func (a *App) GetUnit(ctx context.Context, r *contract.UnitRequest) (*contract.UnitDetail, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	id := kit.UUID(r.UnitID)
	detail := &contract.UnitDetail{}
	err = a.Store.Read(ctx, tenant, func(q *db.Queries) error {
		path, err := q.UnitPath(ctx, db.UnitPathParams{TenantID: tenant, Unit: id})
		if err != nil {
			return err
		}
		if len(path) == 0 {
			return contract.Missing("unit")
		}
		for _, row := range path {
			detail.Path = append(detail.Path, nameOf(row))
			detail.Unit = unitOf(row)
		}
		counts, err := q.UnitCounts(ctx, db.UnitCountsParams{TenantID: tenant, Unit: id})
		detail.Children, detail.Below = int(counts.Children), int(counts.Below)
		return err
	})
	if err != nil {
		return nil, err
	}
	return detail, nil
}
