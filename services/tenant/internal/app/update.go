package app

import (
	"bytes"
	"context"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Update answers tenant.update.
func (a *App) Update(ctx context.Context, r *contract.UpdateTenantRequest) (*contract.Tenant, error) {
	if _, err := ownTenant(ctx, r.TenantID); err != nil {
		return nil, err
	}
	return a.changeTenant(ctx, r.TenantID, r.Revision, func(q *db.Queries, row db.TenantTenant) (db.TenantTenant, changed, error) {
		to := db.DescribeTenantParams{ID: row.ID, Name: row.Name, Branding: row.Branding}
		done := changed{change: "updated"}
		if r.Name != nil {
			if to.Name = strings.TrimSpace(*r.Name); to.Name == "" {
				return row, done, contract.Invalid("name", "is required")
			}
		}
		if r.Branding != nil {
			to.Branding = asJSON(r.Branding)
		}
		if to.Name != row.Name {
			done.fields = append(done.fields, "name")
		}
		if !sameJSON[contract.Branding](to.Branding, row.Branding) {
			done.fields = append(done.fields, "branding")
		}
		if done.fields == nil {
			return row, changed{}, nil
		}
		row, err := q.DescribeTenant(ctx, to)
		return row, done, err
	})
}

// sameJSON compares what two columns hold.
func sameJSON[T comparable](a, b []byte) bool {
	return bytes.Equal(asJSON(stored[T](a)), asJSON(stored[T](b)))
}
