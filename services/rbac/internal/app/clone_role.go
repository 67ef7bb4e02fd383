package app

import (
	"cmp"
	"context"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// CloneRole answers rbac.clone_role.
func (a *App) CloneRole(ctx context.Context, r *contract.CloneRoleRequest) (*contract.Role, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	return a.addRole(ctx, tenant, "role.cloned", func(t *turn) (db.CreateRoleParams, error) {
		original, err := role(ctx, t.Q, t.Tenant, r.RoleID)
		if err != nil {
			return db.CreateRoleParams{}, err
		}
		return db.CreateRoleParams{
			Name: r.Name, Title: cmp.Or(strings.TrimSpace(r.Title), original.Title),
			Description: original.Description, Permissions: original.Permissions,
		}, giverOf(ctx).holdsAll(t.Policy, original.Permissions, while, "role_id")
	})
}
