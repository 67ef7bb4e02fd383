package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// ListModuleStates answers tenant.list_module_states.
func (r *Registry) ListModuleStates(ctx context.Context, _ *contract.ModuleStatesRequest) (*contract.ModuleStatesResponse, error) {
	response := &contract.ModuleStatesResponse{Items: []contract.ModuleState{}}
	err := r.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		rows, err := q.ModuleStates(ctx, "")
		for _, row := range rows {
			response.Items = append(response.Items, stateOf(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

func stateOf(row db.ModuleStatesRow) contract.ModuleState {
	return contract.ModuleState{Module: row.ID, Suspended: row.Suspended, Versions: row.Versions, Revision: row.Revision}
}
