// Package limits holds a tenant's use of what service tenant owns against the
// tenant's limits.
package limits

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Companies answers conflict, on limits.companies, when the tenant has as many
// companies as it may. It is called in the transaction that makes the next one,
// before that, and holds the tenant's row until it ends, so that two at once
// cannot pass the limit together. A tenant that is erased is not_found.
func Companies(ctx context.Context, q *db.Queries, tenant string) error {
	return within(ctx, q, tenant, func(limits contract.Limits, use db.TenantUseRow) error {
		return contract.WithinLimit("companies", limits.Companies, int(use.Companies))
	})
}

// Modules is Companies for the modules that a tenant has enabled.
func Modules(ctx context.Context, q *db.Queries, tenant string) error {
	return within(ctx, q, tenant, func(limits contract.Limits, use db.TenantUseRow) error {
		return contract.WithinLimit("modules", limits.Modules, int(use.Modules))
	})
}

func within(ctx context.Context, q *db.Queries, tenant string, check func(contract.Limits, db.TenantUseRow) error) error {
	if _, err := q.LockContents(ctx, tenant); database.Missing(err) {
		return contract.Missing("tenant")
	} else if err != nil {
		return err
	}
	use, err := q.TenantUse(ctx, tenant)
	if err != nil || use.Limits == nil {
		return err
	}
	var limits contract.Limits
	if err := json.Unmarshal(use.Limits, &limits); err != nil {
		return fmt.Errorf("limits of tenant %s: %w", tenant, err)
	}
	return check(limits, use)
}
