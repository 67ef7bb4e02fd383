package app

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// binding reads a binding of the tenant.
func binding(ctx context.Context, q *db.Queries, tenant string, id contract.ID) (db.BindingsByIDRow, error) {
	rows, err := q.BindingsByID(ctx, db.BindingsByIDParams{Ids: []string{kit.UUID(id)}, TenantID: tenant})
	if err != nil {
		return db.BindingsByIDRow{}, err
	}
	if len(rows) == 0 {
		return db.BindingsByIDRow{}, contract.Missing("binding")
	}
	return rows[0], nil
}

func bindingOf(row db.BindingsByIDRow) contract.Binding {
	b := contract.Binding{
		ID: row.ID, UserID: value(row.UserID), GroupID: value(row.GroupID), RoleID: row.RoleID, Role: row.Role, Effect: "allow",
		UnitID: value(row.UnitID), ResourceType: row.ResourceType, ResourceID: row.ResourceID,
		ExpiresAt: inUTC(row.ExpiresAt), Expired: expired(row.ExpiresAt),
		CreatedAt: row.CreatedAt.UTC(), CreatedBy: value(row.CreatedBy), Revision: row.Revision,
	}
	if row.Deny {
		b.Effect = "deny"
	}
	return b
}

func bindingChange(row db.BindingsByIDRow) contract.PolicyChange {
	return contract.PolicyChange{Binding: &contract.PolicyBinding{
		ID: row.ID, UserID: value(row.UserID), GroupID: value(row.GroupID), RoleID: row.RoleID, Deny: row.Deny,
		UnitID: value(row.UnitID), ResourceType: row.ResourceType, ResourceID: row.ResourceID, ExpiresAt: inUTC(row.ExpiresAt),
	}}
}

// bindingGone tells of a binding's end whom it was about.
func bindingGone(row db.BindingsByIDRow) contract.PolicyChange {
	return contract.PolicyChange{Binding: &contract.PolicyBinding{
		ID: row.ID, UserID: value(row.UserID), GroupID: value(row.GroupID), RoleID: row.RoleID, Removed: true,
	}}
}

// unbound lists, as removed from the tenant's policy, those of the roles that
// are the platform's and that the tenant does not bind any more.
func (t *turn) unbound(ctx context.Context, roles []string) ([]contract.PolicyChange, error) {
	rows, err := t.Q.BoundPlatformRoles(ctx, db.BoundPlatformRolesParams{TenantID: t.Tenant, Ids: roles})
	var changes []contract.PolicyChange
	for _, row := range rows {
		if !row.Bound {
			changes = append(changes, contract.PolicyChange{Role: &contract.PolicyRole{ID: row.ID, Name: row.Name, Removed: true}})
		}
	}
	return changes, err
}

// readExpiry is the whole second from which on a binding is without effect.
func readExpiry(field string, at *time.Time) (*time.Time, error) {
	if at == nil {
		return nil, nil
	}
	whole := at.UTC().Truncate(time.Second)
	if expired(&whole) {
		return nil, contract.Invalid(field, "is in the past")
	}
	return &whole, nil
}

func expired(at *time.Time) bool { return at != nil && !at.After(time.Now()) }

func inUTC(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	utc := at.UTC()
	return &utc
}
