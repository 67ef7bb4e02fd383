package app

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// ChangeGroupMembers answers rbac.change_group_members. Who joins gets what the
// group is bound to, and who leaves gets back what is denied to it.
func (a *App) ChangeGroupMembers(ctx context.Context, r *contract.ChangeGroupMembersRequest) (*contract.Group, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	add, err := readIDs("add", r.Add)
	if err != nil {
		return nil, err
	}
	remove, err := readIDs("remove", r.Remove)
	if err != nil {
		return nil, err
	}
	for i, user := range remove {
		if slices.Contains(add, user) {
			return nil, contract.Invalid(indexed("remove", i), "is to be added too")
		}
	}
	for i, user := range add {
		if err := a.awaitMember(ctx, tenant, user, indexed("add", i)); err != nil {
			return nil, err
		}
	}
	return a.changeGroup(ctx, contract.ID(tenant), r.GroupID, "group.members_changed", r.Revision, func(t *turn, present db.GroupRow) ([]contract.PolicyChange, error) {
		if err := a.see(ctx, t, add, func(i int) string { return indexed("add", i) }); err != nil {
			return nil, err
		}
		return t.changeMembers(ctx, present.ID, add, remove)
	})
}

func (t *turn) changeMembers(ctx context.Context, group string, add, remove []string) ([]contract.PolicyChange, error) {
	left, err := t.Q.RemoveMembers(ctx, db.RemoveMembersParams{TenantID: t.Tenant, GroupID: group, Users: remove})
	if err != nil {
		return nil, err
	}
	joined, err := t.Q.AddMembers(ctx, db.AddMembersParams{TenantID: t.Tenant, GroupID: group, Users: add})
	if err != nil || len(joined)+len(left) == 0 {
		return nil, err
	}
	g, of := giverOf(ctx), ending{group: group}
	if len(joined) > 0 {
		if err := t.mayGive(ctx, g, of, false, "add"); err != nil {
			return nil, err
		}
	}
	if len(left) > 0 {
		if err := t.mayGive(ctx, g, of, true, "remove"); err != nil {
			return nil, err
		}
	}
	var changes []contract.PolicyChange
	for _, user := range left {
		changes = append(changes, contract.PolicyChange{Member: &contract.PolicyMember{GroupID: group, UserID: user, Removed: true}})
	}
	for _, user := range joined {
		changes = append(changes, contract.PolicyChange{Member: &contract.PolicyMember{GroupID: group, UserID: user}})
	}
	return changes, t.touchGroups(ctx, []string{group})
}
