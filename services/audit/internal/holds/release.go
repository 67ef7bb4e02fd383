package holds

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Release answers audit.release_hold.
func (h *Holds) Release(ctx context.Context, r *contract.ReleaseHoldRequest) (*contract.LegalHold, error) {
	released, err := h.change(ctx, "released", r.Reason, func(q *db.Queries) (db.AuditHold, error) {
		row, err := q.LockHold(ctx, kit.UUID(r.HoldID))
		switch {
		case database.Missing(err):
			return row, contract.Missing("hold")
		case err != nil:
			return row, err
		case row.ReleasedAt != nil:
			return row, contract.Errorf(contract.Conflict, "the hold is released already")
		}
		return q.ReleaseHold(ctx, db.ReleaseHoldParams{ID: row.ID, ReleasedBy: optional(kit.UserFrom(ctx).ID), Reason: r.Reason})
	})
	if err == nil {
		h.Released()
	}
	return released, err
}
