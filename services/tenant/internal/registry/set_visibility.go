package registry

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// SetVisibility answers tenant.set_visibility.
func (r *Registry) SetVisibility(ctx context.Context, req *contract.SetVisibilityRequest) (*contract.RegisteredModule, error) {
	allowed, err := tenantIDs("tenant_ids", req.TenantIDs)
	switch {
	case err != nil:
		return nil, err
	case req.Visibility != allowList && len(allowed) > 0:
		return nil, contract.Invalid("tenant_ids", "are for the visibility allow_list; leave them out")
	}
	return r.changeModule(ctx, req.TenantID, req.ModuleName, req.Revision, func(e *edit) error {
		if e.module.Visibility == req.Visibility && slices.Equal(e.module.Allowed, allowed) {
			return nil
		}
		e.module.Visibility, e.module.Allowed, e.published = req.Visibility, allowed, true
		return nil
	})
}

// allowList is the visibility of a module that only some tenants may install.
const allowList = "allow_list"

// changeModule runs work on a module and writes what it left of it.
func (r *Registry) changeModule(ctx context.Context, tenant contract.ID, module string, revision int64, work func(*edit) error) (*contract.RegisteredModule, error) {
	owner, err := r.publisher(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var changed *contract.RegisteredModule
	err = r.edit(ctx, func(e *edit) (told []events.Event, err error) {
		if err := e.lockModule(ctx, owner, module); err != nil {
			return nil, err
		}
		if revision != 0 && revision != e.module.Revision {
			return nil, &contract.Error{Code: contract.Conflict, Field: "revision", Message: "the module was changed meanwhile; read it again"}
		}
		if err := work(e); err != nil {
			return nil, err
		}
		if e.published || e.switched {
			told, err = e.commit(ctx, events.VersionChange{
				Module: e.module.ID, Suspended: e.module.Suspended, Visibility: e.module.Visibility, By: actor(ctx),
			})
			if err != nil {
				return nil, err
			}
		}
		asking := viewer{tenant: e.module.OwnerID, everything: true}
		modules, err := r.registered(ctx, e.q, asking, e.module)
		if err != nil {
			return nil, err
		}
		changed = &modules[0].RegisteredModule
		return told, nil
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}
