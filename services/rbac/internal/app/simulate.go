package app

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// Simulate answers rbac.simulate.
func (a *App) Simulate(ctx context.Context, r *contract.SimulateRequest) (*contract.SimulateResponse, error) {
	tenant, err := a.questionTenant(ctx, r.UserID, r.TenantID)
	if err != nil {
		return nil, err
	}
	p, err := a.policy(ctx, tenant, r.AtLeast)
	if err != nil {
		return nil, err
	}
	var supposed []contract.PolicyChange
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		supposed, err = supposition(ctx, db.New(tx), tenant, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	q := decision.Question{
		User: kit.UUID(r.UserID), Permission: r.Permission, Unit: lowest(r.CompanyID, r.BranchID, r.DepartmentID),
		ResourceType: r.ResourceType, ResourceID: string(r.ResourceID),
	}
	before, err := a.explain(ctx, p, tenant, q)
	if err != nil {
		return nil, err
	}
	after, err := a.explain(ctx, p.Apply(p.Revision(), supposed), tenant, q)
	if err != nil {
		return nil, err
	}
	return &contract.SimulateResponse{Before: *before, After: *after}, nil
}

// supposition makes the changes of a request that are not made.
func supposition(ctx context.Context, q *db.Queries, tenant string, r *contract.SimulateRequest) ([]contract.PolicyChange, error) {
	var all []contract.PolicyChange
	for i, role := range r.Roles {
		found, err := q.SupposedRole(ctx, db.SupposedRoleParams{TenantID: tenant, ID: kit.UUID(contract.ID(role.RoleID))})
		if err != nil {
			return nil, unknown(err, "role", "roles[%d].role_id", i)
		}
		for j, code := range role.Permissions {
			if !contract.ValidGrant(code) {
				return nil, contract.Invalid(fmt.Sprintf("roles[%d].permissions[%d]", i, j), "is not a permission code")
			}
		}
		all = append(all, contract.PolicyChange{Role: &contract.PolicyRole{ID: found.ID, Name: found.Name, Permissions: role.Permissions}})
	}
	for i, binding := range r.Revoke {
		found, err := q.SupposedBinding(ctx, db.SupposedBindingParams{TenantID: tenant, ID: kit.UUID(contract.ID(binding))})
		if err != nil {
			return nil, unknown(err, "binding", "revoke[%d]", i)
		}
		all = append(all, contract.PolicyChange{Binding: &contract.PolicyBinding{
			ID: found.ID, UserID: value(found.UserID), GroupID: value(found.GroupID), RoleID: found.RoleID, Removed: true,
		}})
	}
	for i, grant := range r.Grant {
		found, err := q.SupposedRoleNamed(ctx, db.SupposedRoleNamedParams{
			TenantID: tenant, ID: kit.UUID(contract.ID(grant.RoleID)), Name: grant.Role,
		})
		if err != nil {
			return nil, unknown(err, "role", "grant[%d].role_id", i)
		}
		if (grant.UserID == "") == (grant.GroupID == "") {
			return nil, contract.Invalid(fmt.Sprintf("grant[%d].user_id", i), "is required, or group_id in its place")
		}
		all = append(all,
			contract.PolicyChange{Role: &contract.PolicyRole{ID: found.ID, Name: found.Name, Permissions: found.Permissions}},
			contract.PolicyChange{Binding: &contract.PolicyBinding{
				ID: kit.NewID(), UserID: kit.UUID(contract.ID(grant.UserID)), GroupID: kit.UUID(contract.ID(grant.GroupID)), RoleID: found.ID,
				Deny: grant.Effect == "deny", UnitID: kit.UUID(contract.ID(grant.UnitID)),
				ResourceType: grant.ResourceType, ResourceID: grant.ResourceID, ExpiresAt: grant.ExpiresAt,
			}})
	}
	for name, groups := range map[string][]string{"join_groups": r.JoinGroups, "leave_groups": r.LeaveGroups} {
		for i, group := range groups {
			found, err := q.SupposedGroup(ctx, db.SupposedGroupParams{TenantID: tenant, ID: kit.UUID(contract.ID(group))})
			if err != nil {
				return nil, unknown(err, "group", name+"[%d]", i)
			}
			all = append(all, contract.PolicyChange{Member: &contract.PolicyMember{
				GroupID: found, UserID: kit.UUID(r.UserID), Removed: name == "leave_groups",
			}})
		}
	}
	for i := range r.ModuleStates {
		all = append(all, contract.PolicyChange{Module: &r.ModuleStates[i]})
	}
	return all, nil
}

func unknown(err error, what, field string, i int) error {
	if database.Missing(err) {
		return &contract.Error{Code: contract.NotFound, Field: fmt.Sprintf(field, i), Message: "no such " + what}
	}
	return err
}
