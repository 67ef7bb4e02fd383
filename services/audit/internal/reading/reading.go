// Package reading reads trails: lists, timelines, statistics and exports. All go
// by a tenant's sequence, which is the order in which events were added, so a
// place in a trail stays where it is while others are added.
package reading

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// pageBytes bounds an answer, which is one message on the bus; one that it cuts
// short goes on at its cursor.
const pageBytes = 900 << 10

// Reading serves the operations.
type Reading struct {
	DB *database.DB
	// TrailOf is the tenant whose trail the caller reads, who may name one.
	TrailOf func(ctx context.Context, named contract.ID) (string, error)
	// Open makes personal data readable in an event and its entry; nil where none
	// is sealed. What was shredded stays closed.
	Open func(ctx context.Context, q *db.Queries, e *db.AuditEvent, entry *trail.Entry) error
}

// read runs work in one snapshot of a tenant's trail. A filter names what it may
// in one statement, so each run is planned for what it does name.
func (r *Reading) read(ctx context.Context, tenant string, work func(pgx.Tx) error) error {
	return r.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL plan_cache_mode = force_custom_plan"); err != nil {
			return err
		}
		return work(tx)
	})
}

// event reads a row's entry, with personal data open.
func (r *Reading) event(ctx context.Context, tx pgx.Tx, row *db.AuditEvent) (contract.AuditEvent, error) {
	entry, err := trail.Decode(row.Entry)
	if err != nil {
		return contract.AuditEvent{}, err
	}
	if r.Open != nil {
		if err := r.Open(ctx, db.New(tx), row, entry); err != nil {
			return contract.AuditEvent{}, err
		}
	}
	return Event(row, entry)
}

// Event is what readers see of a row and its entry.
func Event(row *db.AuditEvent, entry *trail.Entry) (contract.AuditEvent, error) {
	e := contract.AuditEvent{
		ID: row.ID, Sequence: row.TenantSeq, Time: row.OccurredAt.UTC(), TenantID: row.TenantID, UserID: record.Text(row.UserID),
		Source: row.Source, Action: row.Action, ResourceType: row.ResourceType, ResourceID: row.ResourceID,
		Outcome: row.Outcome, Type: row.Type, Reason: row.Reason,
	}
	if actor := (contract.AuditActor{Module: row.Module, KeyID: row.KeyID, OnBehalfOf: record.Text(row.OnBehalfOf)}); actor != (contract.AuditActor{}) {
		e.Actor = &actor
	}
	if request := (contract.AuditRequest{ID: row.RequestID, Operation: row.Operation, Address: row.Address, Agent: row.Agent}); request != (contract.AuditRequest{}) {
		e.Request = &request
	}
	details := json.RawMessage(entry.Data)
	if logged := entry.Type == record.Type || entry.Type == record.FirstType; logged {
		// Not all of record.Data: where something was shredded there is no text.
		var data struct {
			Details json.RawMessage        `json:"details"`
			Changes []contract.AuditChange `json:"changes"`
		}
		if err := json.Unmarshal(entry.Data, &data); err != nil {
			return e, err
		}
		details, e.Changes = data.Details, data.Changes
	}
	switch {
	case len(details) == 0 || string(details) == "null":
	case len(details) > pageBytes, !json.Valid(details): // no answer could hold it, and the cursor must get past it
		details, _ = json.Marshal(map[string]int{"omitted_bytes": len(details)}) // a number marshals
		fallthrough
	default:
		e.Details = details
	}
	return e, nil
}
