package ingest

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// takeOverPage is how many records are taken over in a transaction.
const takeOverPage = 1000

// takeOver makes entries of the records from before there were any, in their old
// places, before anything is added behind them. It goes on where it was cut off,
// and several replicas may do it at once.
func (i *Ingester) takeOver(ctx context.Context) error {
	var tenants []db.TenantsBeforeRow
	err := i.cfg.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		tenants, err = db.New(tx).TenantsBefore(ctx)
		return err
	})
	if err != nil || len(tenants) == 0 {
		return err
	}
	taken := 0
	for n, t := range tenants {
		for more := true; more; {
			err := i.cfg.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
				var page int
				page, err = takeOverSome(ctx, db.New(tx), t.TenantID)
				taken += page
				more = page > 0
				return err
			})
			if err != nil {
				return fmt.Errorf("take over the trail of tenant %s: %w", t.TenantID, err)
			}
		}
		i.cfg.Log.Info("audit records taken over", "tenants", n+1, "of", len(tenants), "records", taken)
	}
	return nil
}

// takeOverSome takes over the next records of a tenant, and tells how many; when
// there are none it forgets the old ones.
func takeOverSome(ctx context.Context, q *db.Queries, tenant string) (int, error) {
	locked, err := q.Heads(ctx, []string{tenant})
	if err != nil || locked[0].Erased {
		return 0, err
	}
	frontier, err := trail.UnmarshalFrontier(locked[0].Frontier)
	if err != nil {
		return 0, err
	}
	rows, err := q.Before(ctx, db.BeforeParams{TenantID: tenant, After: frontier.Size(), Page: takeOverPage})
	if err != nil {
		return 0, err
	}
	if len(rows) == 0 {
		return 0, q.ForgetBefore(ctx, tenant)
	}
	h := &head{Frontier: frontier, first: frontier.Size() + 1}
	var p db.StoreEventsParams
	for _, old := range rows {
		e, err := before(old)
		if err != nil {
			return 0, err
		}
		if e.TenantSeq != h.Size()+1 {
			return 0, fmt.Errorf("record %d where %d is due", e.TenantSeq, h.Size()+1)
		}
		leaf := trail.LeafHash(e.Entry)
		e.Leaf = leaf[:]
		h.Append(leaf)
		h.leaves = append(h.leaves, leaf)
		record.Append(&p, &e)
	}
	if err := q.StoreEvents(ctx, p); err != nil {
		return 0, err
	}
	if err := h.tiles(ctx, q, tenant); err != nil {
		return 0, err
	}
	return len(rows), q.AdvanceHeads(ctx, db.AdvanceHeadsParams{
		TenantIds: []string{tenant}, LastSeqs: []int64{locked[0].LastSeq}, Frontiers: [][]byte{h.Marshal()},
	})
}

// before is a record of before, with what can be told of it.
func before(old db.AuditEventsBefore) (db.AuditEvent, error) {
	e := db.AuditEvent{
		TenantID: old.TenantID, TenantSeq: old.TenantSeq, OccurredAt: old.OccurredAt.UTC(), ID: old.ID, MessageID: old.MessageID,
		Stream: old.Stream, Type: "dev.buildify." + old.Action + ".v1", Source: old.Source, Action: old.Action, Outcome: old.Outcome,
		UserID: old.UserID, ResourceType: old.ResourceType, ResourceID: old.ResourceID, RequestID: old.RequestID,
	}
	source := "/core/" + old.Source
	if old.Stream == events.AuditStream {
		data, err := record.Read(record.FirstType, old.Received)
		if err != nil {
			return e, err
		}
		e.Type, source, e.Module = record.FirstType, "/modules/"+old.Source, data.Actor.Module
	}
	entry := trail.Entry{
		TenantID: old.TenantID, Sequence: old.TenantSeq, Stream: old.Stream, ID: old.ID, Source: source, Type: e.Type,
		Time: e.OccurredAt, Data: old.Received, Extensions: map[string]string{events.Outcome: old.Outcome, events.ActorID: record.Text(old.UserID)},
	}
	for name, value := range entry.Extensions { // what is empty is not spelt
		if value == "" {
			delete(entry.Extensions, name)
		}
	}
	e.Entry = entry.Encode()
	return e, nil
}
