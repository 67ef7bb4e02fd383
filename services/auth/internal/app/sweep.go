package app

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// sweepInterval is how often is removed what nobody asks for any more.
const sweepInterval = time.Hour

// KeepSwept removes sessions that ended or expired a month ago, challenges that
// nobody met, and counts of failed attempts that are forgotten, now and then
// until ctx ends. Replicas do
// it beside each other.
func (a *App) KeepSwept(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		if err := a.sweep(ctx); err != nil && ctx.Err() == nil {
			a.Log.Warn("auth: sweeping old sessions; will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (a *App) sweep(ctx context.Context) error {
	return errors.Join(
		a.sweepBatches(ctx, func(ctx context.Context, q *db.Queries) (int64, error) { return q.SweepSessions(ctx) }),
		a.sweepBatches(ctx, func(ctx context.Context, q *db.Queries) (int64, error) { return q.SweepChallenges(ctx) }),
		a.sweepBatches(ctx, func(ctx context.Context, q *db.Queries) (int64, error) { return q.SweepLinks(ctx) }),
		a.sweepBatches(ctx, a.throttle().Sweep),
	)
}

// sweepBatches removes batch by batch, each in a transaction of its own.
func (a *App) sweepBatches(ctx context.Context, batch func(context.Context, *db.Queries) (int64, error)) error {
	for {
		var n int64
		err := a.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			n, err = batch(ctx, db.New(tx))
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}
