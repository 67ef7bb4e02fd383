package app

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// ListGroupMembers answers rbac.list_group_members.
func (a *App) ListGroupMembers(ctx context.Context, r *contract.ListGroupMembersRequest) (*contract.ListGroupMembersResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	after, _, err := readCursor(r.Cursor)
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(r.Limit, 100)
	response := &contract.ListGroupMembersResponse{UserIDs: []string{}}
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		of, err := group(ctx, q, tenant, r.GroupID)
		if err != nil {
			return err
		}
		users, err := q.ListGroupMembers(ctx, db.ListGroupMembersParams{TenantID: tenant, GroupID: of.ID, After: after, Page: int32(limit) + 1})
		if len(users) > limit {
			users = users[:limit]
			response.NextCursor = cursorOf(users[limit-1], "")
		}
		response.UserIDs = append(response.UserIDs, users...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
