package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// group reads a group of the tenant.
func group(ctx context.Context, q *db.Queries, tenant string, id contract.ID) (db.GroupRow, error) {
	row, err := q.Group(ctx, db.GroupParams{ID: kit.UUID(id), TenantID: tenant})
	if database.Missing(err) {
		return row, contract.Missing("group")
	}
	return row, err
}

func groupOf(row db.GroupRow) contract.Group {
	return contract.Group{
		ID: row.ID, Name: row.Name, Title: row.Title, Description: row.Description, Members: int(row.Members), Roles: row.Roles,
		UpdatedAt: row.UpdatedAt.UTC(), Revision: row.Revision,
	}
}

// touchGroups gives groups a new revision: their members, or the roles that they
// are bound to, are others.
func (t *turn) touchGroups(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return t.Q.TouchGroups(ctx, db.TouchGroupsParams{TenantID: t.Tenant, Ids: ids, Revision: t.Revision})
}

// changeGroup changes a group that is still at the revision, 0 for any, and
// returns it as it is afterwards.
func (a *App) changeGroup(ctx context.Context, requested, id contract.ID, what string, revision int64,
	work func(t *turn, present db.GroupRow) ([]contract.PolicyChange, error),
) (*contract.Group, error) {
	tenant, err := a.Directory.ActingTenant(ctx, requested)
	if err != nil {
		return nil, err
	}
	var changed contract.Group
	_, err = a.change(ctx, tenant, what, func(t *turn) ([]contract.PolicyChange, error) {
		present, err := group(ctx, t.Q, t.Tenant, id)
		if err == nil {
			err = unchanged("group", present.Revision, revision)
		}
		if err != nil {
			return nil, err
		}
		changes, err := work(t, present)
		if err != nil {
			return nil, err
		}
		row, err := group(ctx, t.Q, t.Tenant, id)
		changed = groupOf(row)
		return changes, err
	})
	if err != nil {
		return nil, duplicateName(err)
	}
	return &changed, nil
}
