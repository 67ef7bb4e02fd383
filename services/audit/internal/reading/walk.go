package reading

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	// looked bounds how many rows an answer looks at.
	looked = 20_000
	// heldBytes bounds the entries that are in memory, but for the last of them.
	heldBytes = 2 << 20
)

const columns = `tenant_id, tenant_seq, occurred_at, recorded_at, id, message_id, stream, type, source, action, outcome, reason,
	user_id, module, key_id, on_behalf_of, resource_type, resource_id, request_id, operation, address, agent, entry`

func scan(rows pgx.CollectableRow) (e db.AuditEvent, err error) {
	err = rows.Scan(&e.TenantID, &e.TenantSeq, &e.OccurredAt, &e.RecordedAt, &e.ID, &e.MessageID, &e.Stream, &e.Type, &e.Source, &e.Action, &e.Outcome, &e.Reason,
		&e.UserID, &e.Module, &e.KeyID, &e.OnBehalfOf, &e.ResourceType, &e.ResourceID, &e.RequestID, &e.Operation, &e.Address, &e.Agent, &e.Entry)
	return e, err
}

// walk goes along a trail, from place on.
type walk struct {
	*conditions
	tx   pgx.Tx
	back bool // towards older events
	// place is the sequence behind, or before, which it goes on, and done says that
	// nothing is left there.
	place int64
	done  bool
	step  int // rows looked at together
	rows  int // of these at most so many are wanted
}

// run calls visit with each row that the conditions leave, until that refuses
// one, nothing is left, or enough was looked at. A row that was refused is not
// behind place.
func (w *walk) run(ctx context.Context, visit func(*db.AuditEvent) (taken bool, err error)) error {
	for left := looked; left > 0 && !w.done; left -= w.step {
		n, start := min(left, w.step), w.place
		rows, cut, err := w.batch(ctx, n)
		if err != nil {
			return err
		}
		for i := range rows {
			taken, err := visit(&rows[i])
			if err != nil {
				return fmt.Errorf("audit event %s: %w", rows[i].ID, err)
			}
			if !taken {
				return nil
			}
			w.place = rows[i].TenantSeq
		}
		if cut {
			continue
		}
		if err := w.pass(ctx, start, len(rows), n); err != nil {
			return err
		}
	}
	return nil
}

// batch reads what the conditions leave of the next n rows, or the nearest of
// these, when they are many or long.
func (w *walk) batch(ctx context.Context, n int) (batch []db.AuditEvent, cut bool, err error) {
	sql, args := w.candidates(columns, w.back, w.place, n)
	if len(w.wide) > 0 {
		direction := "ASC"
		if w.back {
			direction = "DESC"
		}
		var tried string
		tried, args = w.tried(args)
		sql = fmt.Sprintf("SELECT %s FROM (%s) AS looked WHERE %s ORDER BY tenant_seq %s LIMIT %d",
			columns, sql, tried, direction, min(n, w.rows))
	}
	rows, err := w.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	size := 0
	for !cut && rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, false, err
		}
		batch = append(batch, row)
		size += len(row.Entry) + 512
		cut = size > heldBytes
	}
	rows.Close()
	return batch, cut || len(w.wide) > 0 && len(batch) == w.rows && w.rows < n, rows.Err()
}

// pass goes behind the n rows that were looked at from start on.
func (w *walk) pass(ctx context.Context, start int64, found, n int) error {
	if len(w.wide) == 0 {
		w.done = found < n
		return nil
	}
	edge := "max"
	if w.back {
		edge = "min"
	}
	sql, args := w.candidates("tenant_seq", w.back, start, n)
	sql = fmt.Sprintf("SELECT coalesce(%s(tenant_seq), $%d), count(*) FROM (%s) AS looked", edge, len(args), sql)
	var count int
	err := w.tx.QueryRow(ctx, sql, args...).Scan(&w.place, &count)
	w.done = count < n
	return err
}

// cursors lead on from a page: before the oldest place that it covers, and behind
// the newest.
func before(n int64) string { return fmt.Sprintf("before.%d", n) }
func after(n int64) string  { return fmt.Sprintf("after.%d", n) }

// begin is where a page begins, and whether it goes back from there.
func begin(cursor, order string) (back bool, place int64, err error) {
	back = order != "asc"
	if cursor == "" {
		if back {
			return true, math.MaxInt64, nil
		}
		return false, 0, nil
	}
	for prefix, back := range map[string]bool{"before.": true, "after.": false} {
		if digits, ok := strings.CutPrefix(cursor, prefix); ok {
			if place, ok := sequence(digits); ok {
				return back, place, nil
			}
		}
	}
	return false, 0, contract.Invalid("cursor", "is not a cursor that this operation gave out")
}

func sequence(digits string) (int64, bool) {
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n >= 0
}
