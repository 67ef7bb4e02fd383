package app

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// unitPatience is how long a unit that was made a moment ago is waited for.
const unitPatience = 2 * time.Second

// awaitUnits waits until the policy has the units that grants name, as it has
// those made a moment ago with one of its next steps. Who asks then may still
// find that some are missing.
func (a *App) awaitUnits(ctx context.Context, tenant string, all []grant) error {
	units := idsOf(all, func(g *grant) string { return g.UnitID })
	if len(units) == 0 {
		return nil
	}
	patience, cancel := context.WithTimeout(ctx, unitPatience)
	defer cancel()
	for {
		var known int
		var revision int64
		err := a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
			q := db.New(tx)
			rows, err := q.UnitsByID(ctx, db.UnitsByIDParams{TenantID: tenant, Ids: units})
			if known = len(rows); err == nil {
				revision, err = presentRevision(ctx, q, tenant)
			}
			return err
		})
		if err != nil || known == len(units) {
			return err
		}
		if a.Engine.Await(patience, tenant, revision+1) != nil {
			return ctx.Err()
		}
	}
}

// presentRevision is 0 for a tenant whose policy never changed.
func presentRevision(ctx context.Context, q *db.Queries, tenant string) (int64, error) {
	revision, err := q.Revision(ctx, tenant)
	if database.Missing(err) {
		return 0, nil
	}
	return revision, err
}
