package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
)

// DeprecateVersion answers tenant.deprecate_version.
func (r *Registry) DeprecateVersion(ctx context.Context, req *contract.ChangeVersionRequest) (*contract.ModuleVersion, error) {
	which := target{req.TenantID, req.ModuleName, req.Version, req.Revision}
	return r.changeVersion(ctx, which, func(e *edit) error {
		if err := e.in("deprecated", published); err != nil {
			return err
		}
		e.row.State, e.row.Comment, e.remodelled = deprecated, req.Comment, true
		return nil
	})
}
