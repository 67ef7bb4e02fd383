package app

import (
	"context"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// CreateRole answers rbac.create_role.
func (a *App) CreateRole(ctx context.Context, r *contract.CreateRoleRequest) (*contract.Role, error) {
	tenant, err := a.newRoleTenant(ctx, r)
	if err != nil {
		return nil, err
	}
	codes, err := readCodes("permissions", r.Permissions)
	if err != nil {
		return nil, err
	}
	return a.addRole(ctx, tenant, "role.created", func(t *turn) (db.CreateRoleParams, error) {
		return db.CreateRoleParams{
			Name: r.Name, Title: strings.TrimSpace(r.Title), Description: strings.TrimSpace(r.Description), Permissions: codes,
		}, t.mayAdd(giverOf(ctx), r.Permissions, nil, while)
	})
}

// newRoleTenant is whose a new role will be.
func (a *App) newRoleTenant(ctx context.Context, r *contract.CreateRoleRequest) (string, error) {
	switch {
	case !r.Platform:
		return a.Directory.ActingTenant(ctx, r.TenantID)
	case !giverOf(ctx).holdsEverything():
		return "", contract.Errorf(contract.PermissionDenied, "only platform administrators make roles of the platform; leave platform out")
	case r.TenantID != "":
		return "", contract.Invalid("tenant_id", "a role of the platform belongs to no tenant; leave it out")
	}
	return Platform, nil
}

// addRole makes the role that wanted describes.
func (a *App) addRole(ctx context.Context, tenant, what string, wanted func(*turn) (db.CreateRoleParams, error)) (*contract.Role, error) {
	var added contract.Role
	_, err := a.change(ctx, tenant, what, func(t *turn) ([]contract.PolicyChange, error) {
		role, err := wanted(t)
		if err != nil {
			return nil, err
		}
		if err := t.roleNameIsFree(ctx, role.Name); err != nil {
			return nil, err
		}
		role.ID, role.TenantID, role.Revision = kit.NewID(), t.Tenant, t.Revision
		row, err := t.Q.CreateRole(ctx, role)
		added = roleOf(row)
		return []contract.PolicyChange{roleChange(row)}, err
	})
	if err != nil {
		return nil, duplicateName(err)
	}
	return &added, nil
}
