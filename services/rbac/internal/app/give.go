package app

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// give makes the bindings and returns them in the order asked for. What the
// roles grant is read after the bindings refer to them: from then on nobody else
// changes them, not even the platform's.
func (a *App) give(ctx context.Context, t *turn, all []grant) ([]contract.Binding, []contract.PolicyChange, error) {
	users := make([]string, len(all))
	for i := range all {
		users[i] = all[i].UserID
	}
	if err := a.see(ctx, t, users, func(i int) string { return all[i].prefix + "user_id" }); err != nil {
		return nil, nil, err
	}
	if err := find(ctx, t.Q, t.Tenant, all); err != nil {
		return nil, nil, err
	}
	roles := idsOf(all, func(g *grant) string { return g.RoleID })
	platform, err := t.Q.BoundPlatformRoles(ctx, db.BoundPlatformRolesParams{TenantID: t.Tenant, Ids: roles})
	if err != nil {
		return nil, nil, err
	}
	ids, err := t.insert(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	rows, err := t.Q.RolesByID(ctx, db.RolesByIDParams{Ids: roles, TenantID: t.Tenant})
	if err != nil {
		return nil, nil, err
	}
	known := make(map[string]db.RbacRole, len(rows))
	for _, row := range rows {
		known[row.ID] = row
	}
	if err := t.mayGrant(giverOf(ctx), all, known); err != nil {
		return nil, nil, err
	}
	var changes []contract.PolicyChange
	for _, row := range platform {
		if !row.Bound {
			changes = append(changes, roleChange(known[row.ID]))
		}
	}
	if err := t.touchGroups(ctx, idsOf(all, func(g *grant) string { return g.GroupID })); err != nil {
		return nil, nil, err
	}
	made, told, err := t.made(ctx, ids)
	return made, append(changes, told...), err
}

// find resolves the names of roles, and checks that all that the grants name is
// the tenant's own, or a role of the platform.
func find(ctx context.Context, q *db.Queries, tenant string, all []grant) error {
	byName, err := q.RolesByName(ctx, db.RolesByNameParams{TenantID: tenant, Names: idsOf(all, func(g *grant) string { return g.Role })})
	if err != nil {
		return err
	}
	for i := range all {
		for _, row := range byName {
			if all[i].Role == row.Name {
				all[i].RoleID = row.ID
			}
		}
	}
	roles, err := q.RolesByID(ctx, db.RolesByIDParams{TenantID: tenant, Ids: idsOf(all, func(g *grant) string { return g.RoleID })})
	if err != nil {
		return err
	}
	groups, err := q.GroupsByID(ctx, db.GroupsByIDParams{TenantID: tenant, Ids: idsOf(all, func(g *grant) string { return g.GroupID })})
	if err != nil {
		return err
	}
	units, err := q.UnitsByID(ctx, db.UnitsByIDParams{TenantID: tenant, Ids: idsOf(all, func(g *grant) string { return g.UnitID })})
	if err != nil {
		return err
	}
	for i := range all {
		switch g := &all[i]; {
		case !slices.ContainsFunc(roles, func(row db.RbacRole) bool { return row.ID == g.RoleID }):
			return about(g.roleField(), contract.Missing("role"))
		case g.GroupID != "" && !slices.Contains(groups, g.GroupID):
			return about(g.prefix+"group_id", contract.Missing("group"))
		case g.UnitID != "" && !slices.Contains(units, g.UnitID):
			return about(g.prefix+"unit_id", contract.Missing("unit"))
		}
	}
	return nil
}

// idsOf lists what the grants name, each once.
func idsOf(all []grant, of func(*grant) string) []string {
	ids := []string{}
	for i := range all {
		if id := of(&all[i]); id != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// insert writes the bindings and returns their ids.
func (t *turn) insert(ctx context.Context, all []grant) (ids []string, err error) {
	by := optional(kit.UserFrom(ctx).ID)
	rows := make([]db.AddBindingsParams, len(all))
	for i := range all {
		g := &all[i]
		rows[i] = db.AddBindingsParams{
			ID: kit.NewID(), TenantID: t.Tenant, UserID: optional(g.UserID), GroupID: optional(g.GroupID), RoleID: g.RoleID, Deny: g.deny,
			UnitID: optional(g.UnitID), ResourceType: g.ResourceType, ResourceID: g.ResourceID, ExpiresAt: g.ExpiresAt,
			CreatedBy: by, Revision: t.Revision,
		}
		ids = append(ids, rows[i].ID)
	}
	t.Q.AddBindings(ctx, rows).Exec(func(i int, failure error) {
		if err == nil && failure != nil { // those after it fail for its sake
			err = refusedBinding(&all[i], failure)
		}
	})
	return ids, err
}

func refusedBinding(g *grant, err error) error {
	if constraint, _ := database.Duplicate(err); constraint == "bindings_same" {
		return about(g.roleField(), contract.Errorf(contract.AlreadyExists,
			"this binding exists, perhaps expired; change when it expires, or revoke it first"))
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23503" { // a role of the platform that went meanwhile
		return about(g.roleField(), contract.Missing("role"))
	}
	return err
}

// mayGrant checks that the giver holds what the roles grant, each within the
// reach of its binding. A deny is no exception: nobody takes away what is above them.
func (t *turn) mayGrant(by giver, all []grant, roles map[string]db.RbacRole) error {
	type asked struct {
		role  string
		reach reach
	}
	held := map[asked]bool{}
	for i := range all {
		g := &all[i]
		key := asked{g.RoleID, g.reach()}
		if held[key] {
			continue
		}
		if err := by.holdsAll(t.Policy, roles[g.RoleID].Permissions, key.reach, g.roleField()); err != nil {
			return err
		}
		held[key] = true
	}
	return nil
}

// made reads the bindings back, in the order of the ids.
func (t *turn) made(ctx context.Context, ids []string) ([]contract.Binding, []contract.PolicyChange, error) {
	rows, err := t.Q.BindingsByID(ctx, db.BindingsByIDParams{Ids: ids, TenantID: t.Tenant})
	if err != nil {
		return nil, nil, err
	}
	byID := make(map[string]db.BindingsByIDRow, len(rows))
	for _, row := range rows {
		byID[row.ID] = row
	}
	all, changes := []contract.Binding{}, []contract.PolicyChange{}
	for _, id := range ids {
		all, changes = append(all, bindingOf(byID[id])), append(changes, bindingChange(byID[id]))
	}
	return all, changes, nil
}
