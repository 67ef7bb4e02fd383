package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// roleTenant is the tenant that an operation on roles acts in. A platform
// administrator or a service who acts in none and names none acts on the
// platform's own roles.
func (a *App) roleTenant(ctx context.Context, requested contract.ID) (string, error) {
	if requested == "" && kit.UserFrom(ctx).TenantID == "" && giverOf(ctx).holdsEverything() {
		return Platform, nil
	}
	return a.Directory.ActingTenant(ctx, requested)
}

// role reads a role that the tenant sees.
func role(ctx context.Context, q *db.Queries, tenant string, id contract.ID) (db.RbacRole, error) {
	row, err := q.Role(ctx, db.RoleParams{ID: kit.UUID(id), TenantID: tenant})
	if database.Missing(err) {
		return row, contract.Missing("role")
	}
	return row, err
}

// changeableRole reads a role that the caller may change or delete, as far as
// its kind is concerned.
func (a *App) changeableRole(ctx context.Context, tenant string, id contract.ID) (row db.RbacRole, err error) {
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		row, err = role(ctx, db.New(tx), tenant, id)
		return err
	})
	switch {
	case err != nil:
	case row.System:
		err = contract.Errorf(contract.Conflict, "%s comes with the product and cannot be changed; clone it", row.Name)
	case row.TenantID == Platform && !giverOf(ctx).holdsEverything():
		err = contract.Errorf(contract.PermissionDenied, "%s is a role of the platform, for its administrators to change; clone it", row.Name)
	}
	return row, err
}

// roleToChange reads a tenant's own role under the tenant's lock.
func (t *turn) roleToChange(ctx context.Context, id string, revision int64) (db.RbacRole, error) {
	row, err := role(ctx, t.Q, t.Tenant, contract.ID(id))
	if err == nil {
		err = unchanged("role", row.Revision, revision)
	}
	return row, err
}

func roleOf(row db.RbacRole) contract.Role {
	r := contract.Role{
		ID: row.ID, TenantID: row.TenantID, Name: row.Name, Title: row.Title, Description: row.Description, System: row.System,
		Permissions: row.Permissions, UpdatedAt: row.UpdatedAt.UTC(), Revision: row.Revision,
	}
	if r.TenantID == Platform {
		r.TenantID = ""
	}
	return r
}

func roleChange(row db.RbacRole) contract.PolicyChange {
	return contract.PolicyChange{Role: &contract.PolicyRole{ID: row.ID, Name: row.Name, Permissions: row.Permissions}}
}

// readCodes checks granted codes and puts them into the form of the rows:
// sorted, each once.
func readCodes(field string, codes []string) ([]string, error) {
	for i, code := range codes {
		if !contract.ValidGrant(code) {
			return nil, contract.Invalid(indexed(field, i),
				`must be 2 to 5 segments such as financial:accounts:read; a segment may be "*" and the last one "**"`)
		}
	}
	sorted := append([]string{}, codes...)
	slices.Sort(sorted)
	return slices.Compact(sorted), nil
}

// mayAdd checks that the giver holds, within reach, the codes that a role gets
// beyond those it has.
func (t *turn) mayAdd(g giver, codes, has []string, to reach) error {
	for i, code := range codes {
		if slices.Contains(has, code) {
			continue
		}
		if err := g.holds(t.Policy, code, to, indexed("permissions", i)); err != nil {
			return err
		}
	}
	return nil
}

// roleNameIsFree refuses a tenant's role the name of one of the platform's: it
// would pass for it.
func (t *turn) roleNameIsFree(ctx context.Context, name string) error {
	if t.Tenant == Platform {
		return nil
	}
	taken, err := t.Q.PlatformRoleNamed(ctx, name)
	if err == nil && taken {
		err = &contract.Error{Code: contract.AlreadyExists, Field: "name", Message: "a role of the platform has this name"}
	}
	return err
}

// duplicateName makes a unique violation the answer that it stands for.
func duplicateName(err error) error {
	switch constraint, _ := database.Duplicate(err); constraint {
	case "roles_name":
		return &contract.Error{Code: contract.AlreadyExists, Field: "name", Message: "a role of this name exists"}
	case "groups_name":
		return &contract.Error{Code: contract.AlreadyExists, Field: "name", Message: "a group of this name exists"}
	}
	return err
}

// unchanged answers conflict when a change was made from another revision of
// the thing than the present one; 0 is any.
func unchanged(what string, present, from int64) error {
	if from > 0 && from != present {
		return contract.Errorf(contract.Conflict, "the %s is at revision %d by now; read it again", what, present)
	}
	return nil
}

func indexed(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }
