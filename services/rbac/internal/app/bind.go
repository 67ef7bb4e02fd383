package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// Bind answers rbac.bind.
func (a *App) Bind(ctx context.Context, r *contract.BindRequest) (*contract.RevisionResponse, error) {
	tenant, user := kit.UUID(r.TenantID), kit.UUID(r.UserID)
	if err := a.Directory.AwaitMember(ctx, tenant, user); err != nil {
		return nil, err
	}
	return a.change(ctx, tenant, func(q *db.Queries) error {
		exists, err := q.RoleExists(ctx, db.RoleExistsParams{TenantID: tenant, Name: r.Role})
		if err != nil {
			return err
		}
		if !exists {
			return contract.Missing("role")
		}
		return q.Bind(ctx, db.BindParams{TenantID: tenant, UserID: user, Role: r.Role})
	})
}
