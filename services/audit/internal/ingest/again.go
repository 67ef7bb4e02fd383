package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// ErrNoRecord says that no record can be made of a message.
var ErrNoRecord = errors.New("no record can be made of it")

// Kept is a message as a dead letter keeps it.
type Kept struct {
	Stream, Subject string
	Header          nats.Header
	Data            []byte
	ReceivedAt      time.Time
}

// Place is where a record is.
type Place struct {
	TenantID, ID string
	Sequence     int64
	// Known says that it was there already.
	Known bool
}

// Again makes a record of a message that was none, and gives it its place in the
// trail, in the transaction tx, which sees everything. ErrNoRecord leaves tx as it
// was. What the tenant's trail has already stays where it is; nothing is kept of
// an erased tenant, and Sequence is 0.
func (i *Ingester) Again(ctx context.Context, tx pgx.Tx, kept Kept) (place Place, err error) {
	for _, r := range i.readers {
		if r.stream == kept.Stream {
			err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
				place, err = r.again(ctx, db.New(tx), kept)
				return err
			})
			if refused(err) {
				err = noRecord(err)
			}
			return place, err
		}
	}
	return place, noRecord(fmt.Errorf("nothing reads stream %s", kept.Stream))
}

// noRecord is ErrNoRecord with a cause that the database can keep.
func noRecord(cause error) error { return fmt.Errorf("%w: %s", ErrNoRecord, storable(cause.Error())) }

func (r *reader) again(ctx context.Context, q *db.Queries, kept Kept) (Place, error) {
	read, err := r.read(keptMessage{kept: kept})
	if err != nil {
		return Place{}, noRecord(err)
	}
	if err := r.sealed(ctx, &read); err != nil {
		return Place{}, err
	}
	place := Place{TenantID: read.TenantID, ID: read.ID}
	added, err := r.place(ctx, q, []row{read})
	if err != nil {
		return place, err
	}
	found, err := q.PlaceOf(ctx, db.PlaceOfParams{MessageID: read.MessageID, OccurredAt: read.OccurredAt})
	if database.Missing(err) {
		return place, nil
	}
	place.ID, place.Sequence, place.Known = found.ID, found.TenantSeq, added == 0
	return place, err
}

// keptMessage is a kept message in the place of one that is delivered.
type keptMessage struct {
	jetstream.Msg
	kept Kept
}

func (m keptMessage) Subject() string      { return m.kept.Subject }
func (m keptMessage) Headers() nats.Header { return m.kept.Header }
func (m keptMessage) Data() []byte         { return m.kept.Data }

// Metadata tells when the message was kept: when the stream took it is not known
// any more.
func (m keptMessage) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Timestamp: m.kept.ReceivedAt.UTC()}, nil
}
