package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// revoke takes bindings away. The end of a deny gives what it took, so whoever
// ends one must hold that. named says where a binding was named.
func (t *turn) revoke(ctx context.Context, ids []string, named func(i int) string) ([]contract.PolicyChange, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := t.Q.BindingsByID(ctx, db.BindingsByIDParams{Ids: ids, TenantID: t.Tenant})
	if err != nil {
		return nil, err
	}
	byID, roles := make(map[string]db.BindingsByIDRow, len(rows)), []string{}
	for _, row := range rows {
		byID[row.ID], roles = row, append(roles, row.RoleID)
	}
	codes, err := codesOf(ctx, t.Q, t.Tenant, roles)
	if err != nil {
		return nil, err
	}
	var changes []contract.PolicyChange
	var groups []string
	for i, id := range ids {
		row, found := byID[id]
		if !found {
			return nil, about(named(i), contract.Missing("binding"))
		}
		if row.Deny && !expired(row.ExpiresAt) {
			to := reachOf(row.UnitID, row.ResourceType, row.ResourceID, row.ExpiresAt)
			if err := giverOf(ctx).holdsAll(t.Policy, codes[row.RoleID], to, named(i)); err != nil {
				return nil, err
			}
		}
		changes = append(changes, bindingGone(row))
		if row.GroupID != nil {
			groups = append(groups, *row.GroupID)
		}
	}
	if err := t.touchGroups(ctx, groups); err != nil {
		return nil, err
	}
	return changes, t.Q.DeleteBindings(ctx, db.DeleteBindingsParams{TenantID: t.Tenant, Ids: ids})
}

// rolesIn lists the roles of bindings that changes tell of.
func rolesIn(changes []contract.PolicyChange) []string {
	roles := []string{}
	for _, c := range changes {
		if c.Binding != nil {
			roles = append(roles, c.Binding.RoleID)
		}
	}
	return roles
}
