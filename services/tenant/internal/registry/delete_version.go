package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// DeleteVersion answers tenant.delete_version. The last version takes the
// module along, so that its id is free again; unless it is suspended.
func (r *Registry) DeleteVersion(ctx context.Context, req *contract.VersionRequest) (*contract.Empty, error) {
	owner, err := r.publisher(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	err = r.edit(ctx, func(e *edit) ([]events.Event, error) {
		if err := e.lock(ctx, owner, target{module: req.ModuleName, version: req.Version}); err != nil {
			return nil, err
		}
		if err := e.in("deleted", draft, submitted, rejected); err != nil {
			return nil, err
		}
		if _, err := e.q.DeleteVersion(ctx, db.DeleteVersionParams{Module: req.ModuleName, Version: req.Version}); err != nil {
			return nil, err
		}
		if _, err := e.q.DropModule(ctx, req.ModuleName); err != nil {
			return nil, err
		}
		change := e.versionChange(ctx)
		change.State, change.Comment = "deleted", ""
		return e.commit(ctx, change)
	})
	if err != nil {
		return nil, err
	}
	return &contract.Empty{}, nil
}
