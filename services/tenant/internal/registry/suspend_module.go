package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
)

// SuspendModule answers tenant.suspend_module.
func (r *Registry) SuspendModule(ctx context.Context, req *contract.SuspendModuleRequest) (*contract.RegisteredModule, error) {
	return r.changeModule(ctx, "", req.ModuleName, 0, func(e *edit) error {
		e.switched = e.module.Suspended != req.Reason
		e.published = e.switched
		e.module.Suspended = req.Reason
		return nil
	})
}
