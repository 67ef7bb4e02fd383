package deadletters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/ingest"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Retry answers audit.retry_dead_letter. The record gets its place in the
// transaction that removes the dead letter.
func (d *DeadLetters) Retry(ctx context.Context, r *contract.DeadLetterRequest) (*contract.RetriedDeadLetter, error) {
	answer := &contract.RetriedDeadLetter{}
	var still error
	err := d.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		row, err := lock(ctx, tx, r.DeadLetterID)
		if err != nil {
			return err
		}
		header, err := headerOf(row)
		if err != nil {
			return err
		}
		place, err := d.Again(ctx, tx, ingest.Kept{
			Stream: row.Stream, Subject: row.Subject, Header: header, Data: row.Data, ReceivedAt: row.ReceivedAt,
		})
		if errors.Is(err, ingest.ErrNoRecord) {
			still = err
			return db.New(tx).FailDeadLetter(ctx, db.FailDeadLetterParams{ID: row.ID, Reason: err.Error()})
		}
		if err != nil {
			return err
		}
		change := events.DeadLetterChange{}
		if place.Sequence > 0 {
			*answer = contract.RetriedDeadLetter{TenantID: place.TenantID, ID: place.ID, Sequence: place.Sequence, Known: place.Known}
			change.TenantID, change.EventID, change.Place = place.TenantID, place.ID, place.Sequence
		}
		return gone(ctx, tx, events.DeadLetterRetried, row, change)
	})
	if err != nil {
		return nil, err
	}
	if still != nil {
		return nil, contract.Errorf(contract.Conflict, "%s; it stays a dead letter", still)
	}
	d.Committed()
	if answer.Sequence > 0 && !answer.Known {
		d.Grown(map[string]int64{answer.TenantID: answer.Sequence})
	}
	return answer, nil
}

// headerOf is the header that the message came with.
func headerOf(row db.AuditDeadLetter) (nats.Header, error) {
	header := nats.Header{}
	if err := json.Unmarshal(row.Headers, &header); err != nil {
		return nil, fmt.Errorf("dead letter %d: headers: %w", row.ID, err)
	}
	return header, nil
}
