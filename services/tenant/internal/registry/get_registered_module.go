package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// GetRegisteredModule answers tenant.get_registered_module.
func (r *Registry) GetRegisteredModule(ctx context.Context, req *contract.ModuleRequest) (*contract.RegisteredModule, error) {
	asks, err := r.viewer(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	var found seen
	err = r.Store.Read(ctx, database.Everything, func(q *db.Queries) (err error) {
		found, err = r.lookUp(ctx, q, asks, req.ModuleName)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &found.RegisteredModule, nil
}
