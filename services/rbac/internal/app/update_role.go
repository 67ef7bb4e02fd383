package app

import (
	"context"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// UpdateRole answers rbac.update_role.
func (a *App) UpdateRole(ctx context.Context, r *contract.UpdateRoleRequest) (*contract.Role, error) {
	tenant, err := a.roleTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var codes []string
	if r.Permissions != nil {
		if codes, err = readCodes("permissions", *r.Permissions); err != nil {
			return nil, err
		}
	}
	row, err := a.changeableRole(ctx, tenant, r.RoleID)
	if err != nil {
		return nil, err
	}
	if row.TenantID == Platform {
		err = a.changePlatformRole(ctx, row.ID, "role.updated", r.Revision, func(t *turn, present db.RbacRole) ([]contract.PolicyChange, error) {
			row = amended(present, r, codes)
			return t.rewriteRole(ctx, present, &row)
		})
	} else {
		_, err = a.change(ctx, tenant, "role.updated", func(t *turn) ([]contract.PolicyChange, error) {
			present, err := t.roleToChange(ctx, row.ID, r.Revision)
			if err != nil {
				return nil, err
			}
			row = amended(present, r, codes)
			if err := t.mayUpdateRole(ctx, present, row, r); err != nil {
				return nil, err
			}
			return t.rewriteRole(ctx, present, &row)
		})
	}
	if err != nil {
		return nil, duplicateName(err)
	}
	updated := roleOf(row)
	return &updated, nil
}

// amended is the role as it will be; codes are those of the request.
func amended(role db.RbacRole, r *contract.UpdateRoleRequest, codes []string) db.RbacRole {
	if r.Name != nil {
		role.Name = *r.Name
	}
	if r.Title != nil {
		role.Title = strings.TrimSpace(*r.Title)
	}
	if r.Description != nil {
		role.Description = strings.TrimSpace(*r.Description)
	}
	if r.Permissions != nil {
		role.Permissions = codes
	}
	return role
}

// mayUpdateRole checks that the caller holds what the new form gives: codes that
// are added, and where the role is denied those that go.
func (t *turn) mayUpdateRole(ctx context.Context, from, to db.RbacRole, r *contract.UpdateRoleRequest) error {
	if from.Name != to.Name {
		if err := t.roleNameIsFree(ctx, to.Name); err != nil {
			return err
		}
	}
	g := giverOf(ctx)
	gone := slices.DeleteFunc(slices.Clone(from.Permissions), func(code string) bool { return slices.Contains(to.Permissions, code) })
	if r.Permissions == nil || g.holdsEverything() {
		return nil
	}
	if err := t.mayAdd(g, *r.Permissions, from.Permissions, everywhere); err != nil || len(gone) == 0 {
		return err
	}
	denied, err := t.gifts(ctx, ending{role: from.ID}, true)
	for _, one := range denied {
		if err == nil {
			err = g.holdsAll(t.Policy, gone, one.reach, "permissions")
		}
	}
	return err
}

// rewriteRole writes the new form of a role when it is the role's own tenant's
// turn, and tells it.
func (t *turn) rewriteRole(ctx context.Context, from db.RbacRole, to *db.RbacRole) ([]contract.PolicyChange, error) {
	if from.Name == to.Name && from.Title == to.Title && from.Description == to.Description && slices.Equal(from.Permissions, to.Permissions) {
		return nil, nil
	}
	var err error
	if t.Tenant == from.TenantID {
		*to, err = t.Q.UpdateRole(ctx, db.UpdateRoleParams{
			ID: to.ID, Name: to.Name, Title: to.Title, Description: to.Description, Permissions: to.Permissions, Revision: t.Revision,
		})
	}
	return []contract.PolicyChange{roleChange(*to)}, err
}
