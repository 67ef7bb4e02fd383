package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// DeleteRole answers rbac.delete_role.
func (a *App) DeleteRole(ctx context.Context, r *contract.DeleteRoleRequest) (*contract.Removal, error) {
	tenant, err := a.roleTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	row, err := a.changeableRole(ctx, tenant, r.RoleID)
	if err != nil {
		return nil, err
	}
	var removal *contract.Removal
	switch {
	case r.DryRun:
		removal, err = a.wouldDeleteRole(ctx, tenant, row, r.Revision)
	case row.TenantID == Platform:
		removal, err = a.deletePlatformRole(ctx, tenant, row.ID, r.Revision)
	default:
		removal, err = a.deleteTenantRole(ctx, tenant, row.ID, r.Revision)
	}
	if err != nil {
		return nil, err
	}
	return removal, nil
}

func (a *App) deleteTenantRole(ctx context.Context, tenant, id string, revision int64) (*contract.Removal, error) {
	removal := &contract.Removal{}
	at, err := a.change(ctx, tenant, "role.deleted", func(t *turn) ([]contract.PolicyChange, error) {
		present, err := t.roleToChange(ctx, id, revision)
		if err != nil {
			return nil, err
		}
		if err := t.mayGive(ctx, giverOf(ctx), ending{role: id}, true, "role_id"); err != nil {
			return nil, err
		}
		changes, err := t.endRole(ctx, present, removal)
		if err != nil {
			return nil, err
		}
		return changes, t.Q.DeleteRole(ctx, id)
	})
	removal.Revision = at
	return removal, err
}

// deletePlatformRole deletes a role of the platform in all tenants. The removal
// tells of all of them.
func (a *App) deletePlatformRole(ctx context.Context, tenant, id string, revision int64) (*contract.Removal, error) {
	removal := &contract.Removal{}
	err := a.changePlatformRole(ctx, id, "role.deleted", revision, func(t *turn, present db.RbacRole) ([]contract.PolicyChange, error) {
		if t.Tenant == tenant || t.Tenant == Platform && removal.Revision == 0 {
			removal.Revision = t.Revision
		}
		if t.Tenant == Platform {
			return []contract.PolicyChange{gone(present)}, t.Q.DeleteRole(ctx, id)
		}
		return t.endRole(ctx, present, removal)
	})
	return removal, err
}

// endRole takes a role and its bindings from a tenant's policy, and adds what
// that takes away to the removal.
func (t *turn) endRole(ctx context.Context, row db.RbacRole, removal *contract.Removal) ([]contract.PolicyChange, error) {
	of := ending{role: row.ID}
	if err := of.add(ctx, t.Q, t.Tenant, removal); err != nil {
		return nil, err
	}
	err := t.Q.TouchGroupsBoundTo(ctx, db.TouchGroupsBoundToParams{TenantID: t.Tenant, RoleID: row.ID, Revision: t.Revision})
	if err != nil {
		return nil, err
	}
	changes, err := t.endBindings(ctx, of)
	return append([]contract.PolicyChange{gone(row)}, changes...), err
}

// wouldDeleteRole looks at what the end of a role would take away.
func (a *App) wouldDeleteRole(ctx context.Context, tenant string, row db.RbacRole, revision int64) (*contract.Removal, error) {
	scope := tenant
	if row.TenantID == Platform {
		scope = database.Everything
	}
	removal := &contract.Removal{DryRun: true}
	return removal, a.DB.Read(ctx, scope, func(tx pgx.Tx) error {
		q, tenants := db.New(tx), []string{tenant}
		present, err := role(ctx, q, row.TenantID, contract.ID(row.ID))
		if err == nil {
			err = unchanged("role", present.Revision, revision)
		}
		if err == nil && row.TenantID == Platform {
			tenants, err = q.RoleTenants(ctx, row.ID)
		}
		for _, tenant := range tenants {
			if err == nil {
				err = ending{role: row.ID}.add(ctx, q, tenant, removal)
			}
		}
		if err == nil {
			removal.Revision, err = presentRevision(ctx, q, tenant)
		}
		return err
	})
}

func gone(row db.RbacRole) contract.PolicyChange {
	return contract.PolicyChange{Role: &contract.PolicyRole{ID: row.ID, Name: row.Name, Removed: true}}
}
