package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// ListMembers answers auth.list_members.
func (a *App) ListMembers(ctx context.Context, r *contract.SnapshotRequest) (*contract.ListMembersResponse, error) {
	after, limit, err := kit.SnapshotPage(r)
	if err != nil {
		return nil, err
	}
	response := &contract.ListMembersResponse{Items: []contract.Member{}}
	err = a.DB.Read(ctx, database.Everything, func(tx pgx.Tx) error {
		rows, err := db.New(tx).ListMembers(ctx, db.ListMembersParams{After: after, Page: int32(limit)})
		for _, row := range rows {
			response.Items = append(response.Items, contract.Member{
				UserID: row.ID, TenantID: row.TenantID, Active: row.Active, Revision: row.Revision,
			})
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
