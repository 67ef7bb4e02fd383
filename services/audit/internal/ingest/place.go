package ingest

import (
	"context"
	"slices"

	"github.com/buildify/core/services/audit/internal/store/db"
)

// place gives the rows that are new their places in the trails, without gaps,
// and stores them. The heads' locks keep replicas and streams apart, tenant by
// tenant. What is told late of a tenant that is erased is not kept.
func place(ctx context.Context, q *db.Queries, stream string, rows []db.AuditEvent) (int, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	var tenants, ids []string
	for _, row := range rows {
		tenants = append(tenants, row.TenantID)
		ids = append(ids, row.MessageID)
	}
	slices.Sort(tenants)
	heads, err := q.Heads(ctx, slices.Compact(tenants))
	if err != nil {
		return 0, err
	}
	last := make(map[string]int64, len(heads))
	for _, head := range heads {
		if !head.Erased {
			last[head.TenantID] = head.LastSeq
		}
	}
	known, err := q.Known(ctx, ids)
	if err != nil {
		return 0, err
	}
	seen := make(map[string]bool, len(known))
	for _, id := range known {
		seen[id] = true
	}
	p := db.StoreEventsParams{Stream: stream}
	for _, row := range rows {
		if _, kept := last[row.TenantID]; !kept || seen[row.MessageID] {
			continue
		}
		seen[row.MessageID] = true
		last[row.TenantID]++
		row.TenantSeq = last[row.TenantID]
		add(&p, row)
	}
	if err := q.StoreEvents(ctx, p); err != nil {
		return 0, err
	}
	var advance db.AdvanceHeadsParams
	for tenant, seq := range last {
		advance.TenantIds, advance.LastSeqs = append(advance.TenantIds, tenant), append(advance.LastSeqs, seq)
	}
	return len(p.Ids), q.AdvanceHeads(ctx, advance)
}

func add(p *db.StoreEventsParams, row db.AuditEvent) {
	user := ""
	if row.UserID != nil {
		user = *row.UserID
	}
	p.TenantIds = append(p.TenantIds, row.TenantID)
	p.TenantSeqs = append(p.TenantSeqs, row.TenantSeq)
	p.Ids = append(p.Ids, row.ID)
	p.MessageIds = append(p.MessageIds, row.MessageID)
	p.OccurredAts = append(p.OccurredAts, row.OccurredAt)
	p.UserIds = append(p.UserIds, user)
	p.Sources = append(p.Sources, row.Source)
	p.Actions = append(p.Actions, row.Action)
	p.ResourceTypes = append(p.ResourceTypes, row.ResourceType)
	p.ResourceIds = append(p.ResourceIds, row.ResourceID)
	p.RequestIds = append(p.RequestIds, row.RequestID)
	p.Outcomes = append(p.Outcomes, row.Outcome)
	p.Received = append(p.Received, row.Received)
}
