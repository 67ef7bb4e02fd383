package deadletters

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// shown bounds how much of a dead letter's data an answer holds: base64 makes it
// longer by a third, and the answer is one message on the bus.
const shown = 512 << 10

// Get answers audit.get_dead_letter.
func (d *DeadLetters) Get(ctx context.Context, r *contract.DeadLetterRequest) (*contract.DeadLetter, error) {
	id, err := numberOf(r.DeadLetterID)
	if err != nil {
		return nil, err
	}
	var row db.AuditDeadLetter
	err = d.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		row, err = db.New(tx).GetDeadLetter(ctx, id)
		return err
	})
	if database.Missing(err) {
		return nil, contract.Missing("dead letter")
	}
	if err != nil {
		return nil, err
	}
	header, err := headerOf(row)
	if err != nil {
		return nil, err
	}
	letter := letterOf(db.ListDeadLettersRow{
		ID: row.ID, Stream: row.Stream, StreamSeq: row.StreamSeq, Subject: row.Subject, Reason: row.Reason, ReceivedAt: row.ReceivedAt,
		Tries: row.Tries, TriedAt: row.TriedAt, Bytes: int32(len(row.Data)), Type: first(header["ce-type"]), Tenant: first(header["ce-tenantid"]),
	})
	letter.Headers, letter.Data = json.RawMessage(row.Headers), row.Data
	if letter.Truncated = len(row.Data) > shown; letter.Truncated {
		letter.Data = row.Data[:shown]
	}
	if len(row.Headers) > shown/4 {
		letter.Headers = json.RawMessage(`{}`)
	}
	return &letter, nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
