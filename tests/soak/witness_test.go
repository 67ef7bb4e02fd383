package soak

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// witness looks at the database all the time, and so knows by when a revision
// was committed, whatever happens to the bus.
type witness struct {
	url string

	mu   sync.Mutex
	seen map[string][]time.Time // by tenant: of revisions 1, 2, …
}

// look is how long the witness may take to notice.
const look = 10 * time.Millisecond

func newWitness(url string) *witness { return &witness{url: url, seen: map[string][]time.Time{}} }

// run looks until ctx ends. A lost connection is made anew.
func (w *witness) run(ctx context.Context) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for ctx.Err() == nil {
		conn, err := pgx.Connect(ctx, w.url)
		for err == nil {
			err = w.round(ctx, conn)
			select {
			case <-ctx.Done():
				err = ctx.Err()
			case <-ticker.C:
			}
		}
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx)) // broken, as a rule
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (w *witness) round(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "SELECT tenant_id::text, revision FROM rbac.revisions")
	if err != nil {
		return err
	}
	type row struct {
		Tenant   string
		Revision int64
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return err
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range all {
		for int64(len(w.seen[r.Tenant])) < r.Revision {
			w.seen[r.Tenant] = append(w.seen[r.Tenant], now)
		}
	}
	return nil
}

// committed is a moment by which the revision was committed.
func (w *witness) committed(tenant string, revision int64) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen[tenant]
	if revision < 1 || revision > int64(len(seen)) {
		return time.Time{}, false
	}
	return seen[revision-1], true
}

// latest is the tenant's revision in the database.
func (w *witness) latest(tenant string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int64(len(w.seen[tenant]))
}
