package ingest

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// EnsureMonths makes the partitions of this month, the one before and the one
// after. To be called once a day, at least.
func EnsureMonths(ctx context.Context, d *database.DB, now time.Time) error {
	first := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	return d.In(ctx, database.Everything, func(tx pgx.Tx) error {
		for _, away := range []int{-1, 0, 1} {
			if err := db.New(tx).EnsureMonth(ctx, first.AddDate(0, away, 0).Format(time.DateOnly)); err != nil {
				return err
			}
		}
		return nil
	})
}
