package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// ListAll answers tenant.list_all.
func (a *App) ListAll(ctx context.Context, r *contract.SnapshotRequest) (*contract.ListTenantsResponse, error) {
	after, limit, err := kit.SnapshotPage(r)
	if err != nil {
		return nil, err
	}
	response := &contract.ListTenantsResponse{Items: []contract.TenantSnapshot{}}
	err = a.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		tenants, err := q.ListTenants(ctx, db.ListTenantsParams{After: after, Page: int32(limit)})
		if err != nil {
			return err
		}
		ids, index := make([]string, len(tenants)), make(map[string]int, len(tenants))
		for i, row := range tenants {
			ids[i], index[row.ID] = row.ID, i
			response.Items = append(response.Items, contract.TenantSnapshot{Tenant: tenantOf(row), Activations: []contract.Activation{}})
		}
		activations, err := q.ListActivations(ctx, ids)
		for _, row := range activations {
			item := &response.Items[index[row.TenantID]]
			item.Activations = append(item.Activations, store.ActivationOf(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(response.Items) == limit {
		response.NextCursor = response.Items[limit-1].Tenant.ID
	}
	return response, nil
}
