package reading

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const defaultPage = 50

// List answers audit.list.
func (r *Reading) List(ctx context.Context, q *contract.ListAuditRequest) (*contract.ListAuditResponse, error) {
	return r.page(ctx, q.TenantID, ofList(q), q.Order, q.Cursor, q.Limit)
}

// PersonTimeline answers audit.person_timeline.
func (r *Reading) PersonTimeline(ctx context.Context, q *contract.PersonTimelineRequest) (*contract.ListAuditResponse, error) {
	return r.page(ctx, q.TenantID, filter{person: kit.UUID(q.UserID), from: q.From, until: q.Until}, q.Order, q.Cursor, q.Limit)
}

// ResourceTimeline answers audit.resource_timeline.
func (r *Reading) ResourceTimeline(ctx context.Context, q *contract.ResourceTimelineRequest) (*contract.ListAuditResponse, error) {
	return r.page(ctx, q.TenantID, filter{resourceType: q.ResourceType, resourceID: string(q.ResourceID), from: q.From, until: q.Until}, q.Order, q.Cursor, q.Limit)
}

// page answers with what lies next to the cursor, in order.
func (r *Reading) page(ctx context.Context, named contract.ID, f filter, order, cursor string, limit int) (*contract.ListAuditResponse, error) {
	tenant, err := r.TrailOf(ctx, named)
	if err != nil {
		return nil, err
	}
	back, from, err := begin(cursor, order)
	if err != nil {
		return nil, err
	}
	limit = cmp.Or(limit, defaultPage)
	items := make([]contract.AuditEvent, 0, limit)
	w := &walk{conditions: f.conditions(tenant), back: back, place: from, step: limit + 1, rows: limit + 1}
	switch {
	case f.search != "":
		w.step, w.rows = 1000, 1000
	case len(w.wide) > 0:
		w.step = looked
	}
	size := 0
	err = r.read(ctx, tenant, func(tx pgx.Tx) error {
		w.tx = tx
		return w.run(ctx, func(row *db.AuditEvent) (bool, error) {
			event, err := r.event(ctx, tx, row)
			if err != nil || f.search != "" && !mentions(&event, f.search) {
				return true, err
			}
			if size += len(row.Entry) + 1024; len(items) == limit || size > pageBytes && len(items) > 0 {
				return false, nil
			}
			items = append(items, event)
			return true, nil
		})
	})
	if err != nil {
		return nil, err
	}
	response := &contract.ListAuditResponse{Items: items}
	// What the page covers lies between where it began and where the walk ended.
	older, newer := "", ""
	if back {
		if !w.done {
			older = before(w.place)
		}
		if from != math.MaxInt64 {
			newer = after(max(from, 1) - 1)
		}
	} else {
		if !w.done {
			newer = after(w.place)
		}
		if from > 0 && cursor != "" {
			older = before(min(from, math.MaxInt64-1) + 1)
		}
	}
	descending := order != "asc"
	if descending != back {
		slices.Reverse(items)
	}
	if descending {
		response.NextCursor, response.PreviousCursor = older, newer
	} else {
		response.NextCursor, response.PreviousCursor = newer, older
	}
	return response, nil
}
