package app

import (
	"context"

	"github.com/buildify/core/services/tenant/internal/limits"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// withinCompanies answers conflict when the tenant has as many companies as it
// may. It is called in the transaction that makes the next one.
func (a *App) withinCompanies(ctx context.Context, q *db.Queries, tenant string) error {
	return limits.Companies(ctx, q, tenant)
}
