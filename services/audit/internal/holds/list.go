package holds

import (
	"cmp"
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// List answers audit.list_holds. The cursor is the id of the last one.
func (h *Holds) List(ctx context.Context, r *contract.ListHoldsRequest) (*contract.ListHoldsResponse, error) {
	after, err := uuid.Parse(cmp.Or(r.Cursor, uuid.Nil.String()))
	if err != nil {
		return nil, contract.Invalid("cursor", "is not a cursor that this operation gave out")
	}
	limit := cmp.Or(r.Limit, 50)
	var rows []db.ListHoldsRow
	err = h.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		rows, err = db.New(tx).ListHolds(ctx, db.ListHoldsParams{
			AfterID: after.String(), TenantID: optional(kit.UUID(r.Of)), Released: r.Released, Page: int32(limit) + 1,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &contract.ListHoldsResponse{Items: []contract.LegalHold{}}
	if len(rows) > limit {
		rows = rows[:limit]
		response.NextCursor = rows[limit-1].AuditHold.ID
	}
	for _, row := range rows {
		hold := holdOf(row.AuditHold)
		hold.ErasureWaits = row.ErasureWaits
		response.Items = append(response.Items, hold)
	}
	return response, nil
}
