package app

import (
	"context"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// CreateGroup answers rbac.create_group. A group without members and bindings
// gives nobody anything.
func (a *App) CreateGroup(ctx context.Context, r *contract.CreateGroupRequest) (*contract.Group, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var added contract.Group
	_, err = a.change(ctx, tenant, "group.created", func(t *turn) ([]contract.PolicyChange, error) {
		id := kit.NewID()
		if err := t.Q.CreateGroup(ctx, db.CreateGroupParams{
			ID: id, TenantID: t.Tenant, Name: r.Name, Title: strings.TrimSpace(r.Title), Description: strings.TrimSpace(r.Description),
			Revision: t.Revision,
		}); err != nil {
			return nil, err
		}
		row, err := group(ctx, t.Q, t.Tenant, contract.ID(id))
		added = groupOf(row)
		return []contract.PolicyChange{{Group: &contract.PolicyGroup{ID: id, Name: r.Name}}}, err
	})
	if err != nil {
		return nil, duplicateName(err)
	}
	return &added, nil
}
