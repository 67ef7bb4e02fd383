package app

import (
	"context"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// UpdateGroup answers rbac.update_group.
func (a *App) UpdateGroup(ctx context.Context, r *contract.UpdateGroupRequest) (*contract.Group, error) {
	return a.changeGroup(ctx, r.TenantID, r.GroupID, "group.updated", r.Revision, func(t *turn, present db.GroupRow) ([]contract.PolicyChange, error) {
		to := db.UpdateGroupParams{ID: present.ID, Name: present.Name, Title: present.Title, Description: present.Description, Revision: t.Revision}
		if r.Name != nil {
			to.Name = *r.Name
		}
		if r.Title != nil {
			to.Title = strings.TrimSpace(*r.Title)
		}
		if r.Description != nil {
			to.Description = strings.TrimSpace(*r.Description)
		}
		if to.Name == present.Name && to.Title == present.Title && to.Description == present.Description {
			return nil, nil
		}
		return []contract.PolicyChange{{Group: &contract.PolicyGroup{ID: to.ID, Name: to.Name}}}, t.Q.UpdateGroup(ctx, to)
	})
}
