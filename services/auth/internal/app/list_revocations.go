package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// ListRevocations answers auth.list_revocations. It implements
// revocation.Source for this service itself.
func (a *App) ListRevocations(ctx context.Context, r *contract.SnapshotRequest) (*contract.ListRevocationsResponse, error) {
	after, limit, err := kit.SnapshotPage(r)
	if err != nil {
		return nil, err
	}
	response := &contract.ListRevocationsResponse{Items: []contract.Revocation{}}
	err = a.read(ctx, func(q *db.Queries) error {
		rows, err := q.ListRevocations(ctx, db.ListRevocationsParams{After: after, Page: int32(limit)})
		for _, row := range rows {
			response.Items = append(response.Items, contract.Revocation{SessionID: row.ID, Until: row.RevokedUntil.UTC()})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(response.Items) == limit {
		response.NextCursor = response.Items[limit-1].SessionID
	}
	return response, nil
}
