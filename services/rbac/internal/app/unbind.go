package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// Unbind answers rbac.unbind.
func (a *App) Unbind(ctx context.Context, r *contract.BindRequest) (*contract.RevisionResponse, error) {
	tenant := kit.UUID(r.TenantID)
	return a.change(ctx, tenant, func(q *db.Queries) error {
		n, err := q.Unbind(ctx, db.UnbindParams{TenantID: tenant, UserID: kit.UUID(r.UserID), Role: r.Role})
		if err == nil && n == 0 {
			return contract.Missing("binding")
		}
		return err
	})
}
