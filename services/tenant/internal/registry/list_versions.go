package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// ListVersions answers tenant.list_versions.
func (r *Registry) ListVersions(ctx context.Context, req *contract.ListVersionsRequest) (*contract.ListVersionsResponse, error) {
	asks, err := r.viewer(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	response := &contract.ListVersionsResponse{Items: []contract.ModuleVersion{}}
	err = r.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		found, err := r.lookUp(ctx, q, asks, req.ModuleName)
		for _, row := range found.versions {
			if req.State == "" || req.State == row.State {
				response.Items = append(response.Items, brief(row))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
