package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/manifest"
)

// grant gives roles permissions of a module, as the person who asks: rbac
// decides whether they may.
func (r *Registry) grant(ctx context.Context, tenant string, m *manifest.Manifest, grants []contract.RoleGrant) error {
	for i, g := range grants {
		field := fmt.Sprintf("roles[%d]", i)
		codes, err := readGrant(field, m.Declared(), g.Permissions)
		if err != nil {
			return err
		}
		if err := r.grantRole(ctx, tenant, contract.ID(g.RoleID), codes); err != nil {
			var refused *contract.Error
			if errors.As(err, &refused) && (refused.Code == contract.NotFound || refused.Code == contract.PermissionDenied) {
				return &contract.Error{Code: refused.Code, Field: field + ".role_id", Message: refused.Message}
			}
			return err
		}
	}
	return nil
}

// grantRole adds to what a role grants.
func (r *Registry) grantRole(ctx context.Context, tenant string, id contract.ID, codes []string) error {
	role, err := kit.CallAsCaller(ctx, r.Client, contract.GetRole, &contract.RoleRequest{TenantID: contract.ID(tenant), RoleID: id})
	if err != nil {
		return err
	}
	granted := slices.Clone(role.Permissions)
	for _, code := range codes {
		if !slices.Contains(granted, code) {
			granted = append(granted, code)
		}
	}
	if len(granted) == len(role.Permissions) {
		return nil
	}
	_, err = kit.CallAsCaller(ctx, r.Client, contract.UpdateRole, &contract.UpdateRoleRequest{
		TenantID: contract.ID(tenant), RoleID: id, Permissions: &granted, Revision: role.Revision,
	})
	return err
}
