package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// withinUsers lets one more person belong to the tenant, or answers conflict on
// limits.users. Disabled people count: they still belong to it. It is called in
// the transaction that adds the person, before that, and holds the tenant's lock
// until it ends. Nobody is added to a tenant that is erased.
func (a *App) withinUsers(ctx context.Context, q *db.Queries, tenant string) error {
	row, err := q.LockTenant(ctx, tenant)
	if err != nil {
		return err
	}
	if row.Erased != nil {
		return contract.Missing("tenant")
	}
	state, _ := a.Directory.Tenant(tenant)
	if state.Limits == nil || state.Limits.Users == 0 {
		return nil
	}
	people, err := q.CountPeople(ctx, &tenant)
	if err != nil {
		return err
	}
	return contract.WithinLimit("users", state.Limits.Users, int(people))
}
