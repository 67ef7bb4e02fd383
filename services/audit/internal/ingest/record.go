package ingest

import (
	"time"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// row is a record on its way into a trail: without its place there, its entry is
// not spelt yet.
type row struct {
	db.AuditEvent
	entry trail.Entry
}

// newRow makes one of what the event says of itself; whoever reads it adds what
// its data says.
func newRow(stream, tenant, id string, e events.Event) row {
	at := happened(e, id).UTC().Truncate(time.Microsecond) // as the database keeps it
	r := row{
		AuditEvent: db.AuditEvent{
			TenantID: tenant, ID: id, OccurredAt: at, Stream: stream, Type: storable(e.Type()), Outcome: outcome(e),
		},
		entry: trail.Entry{
			TenantID: tenant, Stream: stream, ID: id, Source: e.Source(), Type: e.Type(), Subject: e.Subject(), Time: at, Data: e.Data(),
		},
	}
	for name := range e.Extensions() {
		if name == events.TenantID {
			continue
		}
		if r.entry.Extensions == nil {
			r.entry.Extensions = map[string]string{}
		}
		r.entry.Extensions[name] = events.Extension(e, name)
	}
	return r
}

// happened is when the event did. One that does not say so did when its id was
// made, and without that at the epoch: never when the stream took it, for it is
// known again by its time, and the stream may take it twice.
func happened(e events.Event, id string) time.Time {
	if !e.Time().IsZero() {
		return e.Time()
	}
	if parsed, err := uuid.Parse(id); err == nil && parsed.Version() == 7 {
		return time.Unix(parsed.Time().UnixTime())
	}
	return time.Unix(0, 0)
}
