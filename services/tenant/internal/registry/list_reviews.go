package registry

import (
	"cmp"
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// ListReviews answers tenant.list_reviews.
func (r *Registry) ListReviews(ctx context.Context, req *contract.ListReviewsRequest) (*contract.ListVersionsResponse, error) {
	response := &contract.ListVersionsResponse{Items: []contract.ModuleVersion{}}
	err := r.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		rows, err := q.WaitingVersions(ctx, int32(cmp.Or(req.Limit, 50)))
		for _, row := range rows {
			response.Items = append(response.Items, brief(db.VersionsOfRow(row)))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
