package deadletters

import (
	"cmp"
	"context"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// List answers audit.list_dead_letters. The cursor is the id that the next page
// begins before.
func (d *DeadLetters) List(ctx context.Context, r *contract.ListDeadLettersRequest) (*contract.ListDeadLettersResponse, error) {
	before := int64(math.MaxInt64)
	if r.Cursor != "" {
		n, err := strconv.ParseInt(r.Cursor, 10, 64)
		if err != nil || n < 1 {
			return nil, contract.Invalid("cursor", "is not a cursor that this operation gave out")
		}
		before = n
	}
	limit := cmp.Or(r.Limit, 50)
	var stream *string
	if r.Stream != "" {
		stream = &r.Stream
	}
	response := &contract.ListDeadLettersResponse{Items: []contract.DeadLetter{}}
	var rows []db.ListDeadLettersRow
	err := d.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		if response.Total, err = q.CountDeadLetters(ctx); err != nil {
			return err
		}
		rows, err = q.ListDeadLetters(ctx, db.ListDeadLettersParams{Before: before, Stream: stream, Search: r.Search, Page: int32(limit) + 1})
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		response.NextCursor = strconv.FormatInt(rows[limit-1].ID, 10)
	}
	for _, row := range rows {
		response.Items = append(response.Items, letterOf(row))
	}
	return response, nil
}

func letterOf(row db.ListDeadLettersRow) contract.DeadLetter {
	letter := contract.DeadLetter{
		ID: strconv.FormatInt(row.ID, 10), Stream: row.Stream, Sequence: row.StreamSeq, Subject: row.Subject,
		Type: row.Type, TenantID: row.Tenant, Reason: row.Reason, Bytes: int(row.Bytes),
		ReceivedAt: row.ReceivedAt.UTC(), Tries: int(row.Tries),
	}
	if letter.TenantID == events.Platform {
		letter.TenantID = ""
	}
	if row.TriedAt != nil {
		at := row.TriedAt.UTC()
		letter.TriedAt = &at
	}
	return letter
}
