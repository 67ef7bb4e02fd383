package app

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// UpdateBinding answers rbac.update_binding. To hold longer is to give, as to
// deny for less long is.
func (a *App) UpdateBinding(ctx context.Context, r *contract.UpdateBindingRequest) (*contract.Binding, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	until, err := readExpiry("expires_at", r.ExpiresAt)
	if err != nil {
		return nil, err
	}
	var updated contract.Binding
	_, err = a.change(ctx, tenant, "binding.updated", func(t *turn) ([]contract.PolicyChange, error) {
		row, err := binding(ctx, t.Q, t.Tenant, r.BindingID)
		if err == nil {
			err = unchanged("binding", row.Revision, r.Revision)
		}
		if err != nil {
			return nil, err
		}
		if updated = bindingOf(row); sameTime(row.ExpiresAt, until) {
			return nil, nil
		}
		if row.Deny || longer(until, row.ExpiresAt) {
			codes, err := codesOf(ctx, t.Q, t.Tenant, []string{row.RoleID})
			if err != nil {
				return nil, err
			}
			ends := row.ExpiresAt
			if longer(until, ends) {
				ends = until
			}
			to := reachOf(row.UnitID, row.ResourceType, row.ResourceID, ends)
			if err := giverOf(ctx).holdsAll(t.Policy, codes[row.RoleID], to, "expires_at"); err != nil {
				return nil, err
			}
		}
		row.ExpiresAt, row.Revision = until, t.Revision
		updated = bindingOf(row)
		return []contract.PolicyChange{bindingChange(row)}, t.Q.UpdateBinding(ctx, db.UpdateBindingParams{
			ID: row.ID, ExpiresAt: until, Revision: t.Revision,
		})
	})
	if err != nil {
		return nil, err
	}
	return &updated, nil
}

// longer reports whether one expiry is after another; nil is never.
func longer(one, other *time.Time) bool {
	return other != nil && (one == nil || one.After(*other))
}

func sameTime(one, other *time.Time) bool {
	return one == other || one != nil && other != nil && one.Equal(*other)
}
