package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// MemberChanged takes an event of events.UserChanged in: who leaves a tenant, or
// is deleted, heads nothing there any more. Who is disabled may come back.
func (a *App) MemberChanged(ctx context.Context, e events.Event) error {
	var m contract.Member
	if err := e.DataAs(&m); err != nil {
		return nil //nolint:nilerr // it never can be understood, and the directory has said so
	}
	if known, ok := a.Directory.Member(m.UserID); ok && known.Revision > m.Revision {
		m = known // they may be back
	}
	var tenants []string
	err := a.Store.Read(ctx, database.Everything, func(q *db.Queries) (err error) {
		tenants, err = q.TenantsHeadedBy(ctx, m.UserID)
		return err
	})
	for _, tenant := range tenants {
		if err == nil && !in(m, tenant) {
			err = a.changeTree(ctx, tenant, func(t *tree) ([]db.TenantUnit, error) {
				return t.q.ClearHead(ctx, db.ClearHeadParams{TenantID: tenant, UserID: m.UserID})
			})
		}
		if errors.Is(err, &contract.Error{Code: contract.NotFound}) { // the tenant is erased
			err = nil
		}
	}
	return err
}
