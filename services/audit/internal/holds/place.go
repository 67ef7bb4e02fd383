package holds

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Place answers audit.place_hold. Once it has answered nothing under the hold is
// removed.
func (h *Holds) Place(ctx context.Context, r *contract.PlaceHoldRequest) (*contract.LegalHold, error) {
	tenant := kit.UUID(r.TenantID)
	switch {
	case r.UserID != "" && r.ResourceType != "":
		return nil, contract.Invalid("user_id", "and resource_type exclude each other: place a hold for each")
	case r.ResourceID != "" && r.ResourceType == "":
		return nil, contract.Invalid("resource_type", "is required with resource_id")
	}
	if err := h.known(ctx, tenant); err != nil {
		return nil, err
	}
	return h.change(ctx, "placed", r.Reason, func(q *db.Queries) (row db.AuditHold, err error) {
		erased, err := q.TrailErased(ctx, tenant)
		if err != nil {
			return row, err
		}
		if erased {
			return row, contract.Missing("tenant")
		}
		return q.PlaceHold(ctx, db.PlaceHoldParams{
			ID: kit.NewID(), TenantID: tenant, UserID: optional(kit.UUID(r.UserID)), ResourceType: optional(r.ResourceType),
			ResourceID: optional(string(r.ResourceID)), Reason: r.Reason, PlacedBy: optional(kit.UserFrom(ctx).ID),
		})
	})
}
