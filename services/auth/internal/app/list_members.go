package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// ListMembers answers auth.list_members.
func (a *App) ListMembers(ctx context.Context, r *contract.SnapshotRequest) (*contract.ListMembersResponse, error) {
	after, limit, err := kit.SnapshotPage(r)
	if err != nil {
		return nil, err
	}
	response := &contract.ListMembersResponse{Items: []contract.Member{}}
	err = a.read(ctx, func(q *db.Queries) error {
		rows, err := q.ListMembers(ctx, db.ListMembersParams{After: after, Page: int32(limit)})
		for _, row := range rows {
			response.Items = append(response.Items, memberState(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(response.Items) == limit {
		response.NextCursor = response.Items[limit-1].UserID
	}
	return response, nil
}

func memberState(row db.ListMembersRow) contract.Member {
	return contract.Member{
		UserID: row.ID, TenantID: value(row.TenantID), Tenants: row.Tenants,
		Platform: row.Platform, Active: row.Active, Deleted: row.Deleted, Revision: row.Revision,
	}
}
