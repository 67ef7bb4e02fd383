package reading

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// chunkBytes bounds a chunk, which is half as long again in base64 and must fit
// into a message on the bus.
const chunkBytes = 640 << 10

// renderings make an event of a row, with the line break that ends it.
type rendering func(r *Reading, ctx context.Context, tx pgx.Tx, row *db.AuditEvent) ([]byte, error)

var renderings = map[string]rendering{
	"jsonl": func(_ *Reading, _ context.Context, _ pgx.Tx, row *db.AuditEvent) ([]byte, error) {
		return append(row.Entry, '\n'), nil
	},
	"csv": func(r *Reading, ctx context.Context, tx pgx.Tx, row *db.AuditEvent) ([]byte, error) {
		e, err := r.event(ctx, tx, row)
		if err != nil {
			return nil, err
		}
		return csvLine(csvFields(&e)), nil
	},
	"ocsf": func(r *Reading, ctx context.Context, tx pgx.Tx, row *db.AuditEvent) ([]byte, error) {
		e, err := r.event(ctx, tx, row)
		if err != nil {
			return nil, err
		}
		return ocsfLine(&e, row.RecordedAt)
	},
}

// part is where a part of an export begins: behind a sequence, and behind some
// bytes of the event that follows it, up to the export's end.
type part struct{ after, skip, through int64 }

func (p part) String() string { return fmt.Sprintf("%d.%d.%d", p.after, p.skip, p.through) }

func parsePart(cursor string) (p part, err error) {
	parts, ok := strings.Split(cursor, "."), true
	if len(parts) == 3 {
		for i, n := range []*int64{&p.after, &p.skip, &p.through} {
			var good bool
			*n, good = sequence(parts[i])
			ok = ok && good
		}
	}
	if len(parts) != 3 || !ok || p.after > p.through {
		return p, contract.Invalid("cursor", "is not a cursor that this operation gave out")
	}
	return p, nil
}

// Export answers audit.export.
func (r *Reading) Export(ctx context.Context, q *contract.ExportAuditRequest) (*contract.ExportAuditResponse, error) {
	tenant, err := r.TrailOf(ctx, q.TenantID)
	if err != nil {
		return nil, err
	}
	format := cmp.Or(q.Format, "jsonl")
	answer := &contract.ExportAuditResponse{Chunk: []byte{}}
	place := part{after: q.After}
	if q.Cursor != "" {
		if place, err = parsePart(q.Cursor); err != nil {
			return nil, err
		}
	} else if q.After == 0 && format == "csv" {
		answer.Chunk = csvLine(csvHeader)
	}
	err = r.read(ctx, tenant, func(tx pgx.Tx) error {
		if q.Cursor == "" {
			if place.through, err = db.New(tx).TrailEnd(ctx, tenant); err != nil {
				return err
			}
		}
		f := ofExport(q)
		f.through = place.through
		w := &walk{conditions: f.conditions(tenant), tx: tx, place: place.after, step: 1000, rows: 1000}
		if err := w.run(ctx, func(row *db.AuditEvent) (bool, error) {
			return r.add(ctx, tx, answer, &f, format, &place, row)
		}); err != nil {
			return err
		}
		place.after, answer.Sequence, answer.Through = w.place, w.place, place.through
		if w.done {
			answer.Sequence = max(place.after, place.through)
		} else {
			answer.NextCursor = place.String()
		}
		return nil
	})
	return answer, err
}

// add puts a row's rendering, from place on, into the chunk, and reports whether
// all of it is there.
func (r *Reading) add(ctx context.Context, tx pgx.Tx, answer *contract.ExportAuditResponse, f *filter, format string, place *part, row *db.AuditEvent) (bool, error) {
	if f.search != "" {
		e, err := r.event(ctx, tx, row)
		if err != nil || !mentions(&e, f.search) {
			return true, err
		}
	}
	line, err := renderings[format](r, ctx, tx, row)
	if err != nil {
		return false, err
	}
	line = line[min(place.skip, int64(len(line))):]
	room := chunkBytes - len(answer.Chunk)
	if len(line) > room {
		if len(answer.Chunk) == 0 { // longer than any chunk: it takes several
			answer.Chunk = line[:room]
			place.skip += int64(room)
		}
		return false, nil
	}
	answer.Chunk = append(answer.Chunk, line...)
	answer.Events++
	place.skip = 0
	return true, nil
}
