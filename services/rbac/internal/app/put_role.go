package app

import (
	"context"
	"fmt"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// PutRole answers rbac.put_role.
func (a *App) PutRole(ctx context.Context, r *contract.PutRoleRequest) (*contract.RevisionResponse, error) {
	for i, code := range r.Permissions {
		if !contract.ValidGrant(code) {
			return nil, contract.Invalid(fmt.Sprintf("permissions[%d]", i),
				"is not a permission code of 2 to 5 segments such as financial:accounts:read or financial:**")
		}
	}
	tenant := kit.UUID(r.TenantID)
	if err := a.Directory.AwaitTenant(ctx, tenant); err != nil {
		return nil, err
	}
	return a.change(ctx, tenant, func(q *db.Queries) error {
		return q.PutRole(ctx, db.PutRoleParams{TenantID: tenant, Name: r.Role, Permissions: append([]string{}, r.Permissions...)})
	})
}
