package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
)

// SuspendVersion answers tenant.suspend_version.
func (r *Registry) SuspendVersion(ctx context.Context, req *contract.SuspendVersionRequest) (*contract.ModuleVersion, error) {
	which := target{module: req.ModuleName, version: req.Version}
	return r.changeVersion(ctx, which, func(e *edit) error {
		if err := e.in("suspended", approved, published, deprecated); err != nil {
			return err
		}
		e.switched = e.row.Suspended != req.Reason
		e.published = e.switched // who follows a range may go on, when it ends
		e.row.Suspended = req.Reason
		return nil
	})
}
