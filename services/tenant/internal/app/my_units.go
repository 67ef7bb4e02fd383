package app

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Rights answers as service rbac does.
type Rights interface {
	CheckBatch(context.Context, *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error)
	Effective(context.Context, *contract.EffectiveRequest) (*contract.EffectiveResponse, error)
	MayMoveUnit(context.Context, *contract.MayMoveUnitRequest) (*contract.Empty, error)
}

// batch is how many checks rbac takes at once.
const batch = 1000

// MyUnits answers tenant.my_units.
func (a *App) MyUnits(ctx context.Context, r *contract.MyUnitsRequest) (*contract.ListUnitsResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	afterID, afterName, err := readCursor(r.Cursor)
	if err != nil {
		return nil, err
	}
	var rows []db.TenantUnit
	err = a.Store.Read(ctx, tenant, func(q *db.Queries) (err error) {
		rows, err = q.TenantUnits(ctx, tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	mine, err := a.mine(ctx, tenant, r.Permission, rows)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(row db.TenantUnit) bool {
		return r.Kind != "" && row.Kind != r.Kind ||
			cmp.Or(strings.Compare(row.Name, afterName), strings.Compare(row.ID, afterID)) <= 0
	})
	response := &contract.ListUnitsResponse{Items: []contract.OrgUnit{}}
	limit := cmp.Or(r.Limit, 100)
	for part := range slices.Chunk(rows, batch) {
		held, err := mine(part)
		if err != nil {
			return nil, err
		}
		for i, row := range part {
			switch {
			case !held[i]:
			case len(response.Items) == limit:
				last := response.Items[limit-1]
				response.NextCursor = cursorOf(last.ID, last.Name)
				return response, nil
			default:
				response.Items = append(response.Items, unitOf(row))
			}
		}
	}
	return response, nil
}

// mine returns what tells of up to a batch of units whether the caller holds the
// permission there, or without one whether a binding gives them anything.
func (a *App) mine(ctx context.Context, tenant, permission string, all []db.TenantUnit) (func([]db.TenantUnit) ([]bool, error), error) {
	user := kit.UserFrom(ctx)
	if user.Platform {
		return func(part []db.TenantUnit) ([]bool, error) { return slices.Repeat([]bool{true}, len(part)), nil }, nil
	}
	if permission == "" {
		return a.bound(ctx, user.ID, tenant, all)
	}
	return func(part []db.TenantUnit) ([]bool, error) {
		request := &contract.CheckBatchRequest{
			TenantID: contract.ID(tenant), UserID: contract.ID(user.ID), Permission: permission,
			Checks: make([]contract.BatchItem, len(part)),
		}
		for i, row := range part {
			request.Checks[i].UnitID = row.ID
		}
		answer, err := a.Rights.CheckBatch(ctx, request)
		if err != nil {
			return nil, err
		}
		return answer.Allowed, nil
	}, nil
}

// bound is mine for whatever bindings give, to the tenant, or to a unit and all
// below it.
func (a *App) bound(ctx context.Context, user, tenant string, all []db.TenantUnit) (func([]db.TenantUnit) ([]bool, error), error) {
	answer, err := a.Rights.Effective(ctx, &contract.EffectiveRequest{UserID: contract.ID(user), TenantID: contract.ID(tenant)})
	if err != nil {
		return nil, err
	}
	scopes := map[string]bool{}
	for _, code := range answer.Items {
		for _, source := range code.Sources {
			if source.Effect == "allow" {
				scopes[source.Scope] = true
			}
		}
	}
	parents := make(map[string]string, len(all))
	for _, row := range all {
		parents[row.ID] = textOf(row.ParentID)
	}
	return func(part []db.TenantUnit) ([]bool, error) {
		held := make([]bool, len(part))
		for i, row := range part {
			held[i] = scopes["tenant"]
			for id := row.ID; id != "" && !held[i]; id = parents[id] {
				held[i] = scopes["unit:"+id]
			}
		}
		return held, nil
	}, nil
}
