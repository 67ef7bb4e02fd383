package retention

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/audit/internal/holds"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	// page is how many events are removed in a transaction.
	page = 5000
	// atOnce is how long audit.apply_retention works before it answers.
	atOnce = 15 * time.Second
	// say is how often a long run says how far it is.
	say = 30 * time.Second
)

// Apply answers audit.apply_retention.
func (r *Retention) Apply(ctx context.Context, request *contract.ApplyRetentionRequest) (report *contract.RetentionReport, err error) {
	if !request.DryRun {
		return r.Run(ctx, r.cfg.Now().Add(atOnce))
	}
	err = r.read(ctx, func(q *db.Queries) error {
		p, err := r.plan(ctx, q)
		if err == nil {
			report, err = p.count(ctx, q)
		}
		return err
	})
	return report, err
}

// Run removes what has had its time, until a deadline if there is one, and tells
// it in the platform's trail.
func (r *Retention) Run(ctx context.Context, until time.Time) (*contract.RetentionReport, error) {
	report := &contract.RetentionReport{Complete: true, Months: []contract.RetentionMonth{}, Tenants: []contract.RetentionTenant{}}
	var p plan
	err := r.read(ctx, func(q *db.Queries) (err error) {
		p, err = r.plan(ctx, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	w := &run{r: r, report: report, until: until, said: r.cfg.Now()}
	err = errors.Join(w.months(ctx, p), w.tenants(ctx, p), r.sweep(ctx))
	if told := w.tell(ctx); err == nil {
		err = told
	}
	if err != nil {
		return nil, err
	}
	if report.Complete {
		r.applied.Set(float64(r.cfg.Now().Unix()))
	}
	return report, nil
}

// run is one application.
type run struct {
	r      *Retention
	report *contract.RetentionReport
	until  time.Time
	said   time.Time
	events int64
}

// late reports whether the run is to end, and is then not complete.
func (w *run) late() bool {
	if !w.until.IsZero() && !w.r.cfg.Now().Before(w.until) {
		w.report.Complete = false
	}
	return !w.report.Complete
}

func (w *run) months(ctx context.Context, p plan) error {
	for _, m := range p.whole {
		if w.late() {
			return nil
		}
		n, gone, err := w.r.drop(ctx, p, m)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "55P03" { // lock_timeout: somebody reads for long
			w.r.cfg.Log.Warn("retention: a month is in use; will try again", "month", m.String())
			w.report.Complete = false
			continue
		}
		if err != nil {
			return err
		}
		if gone {
			w.events += n
			w.r.removed.WithLabelValues("month").Add(float64(n))
			w.report.Months = append(w.report.Months, contract.RetentionMonth{Month: m.String(), Events: n})
			w.r.cfg.Log.Info("retention: month removed", "month", m.String(), "events", n)
		}
	}
	return nil
}

// drop removes a month unless somebody needs it by now.
func (r *Retention) drop(ctx context.Context, p plan, m month) (n int64, gone bool, err error) {
	err = r.read(ctx, func(q *db.Queries) (err error) {
		n, err = q.CountBetween(ctx, db.CountBetweenParams{Lower: m.lower, Upper: m.upper})
		return err
	})
	if err != nil {
		return 0, false, err
	}
	err = r.cfg.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		// Ingest and readers wait behind who waits for the table.
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '3s'"); err != nil {
			return err
		}
		if err := holds.Lock(ctx, q); err != nil {
			return err
		}
		tenants, err := q.TenantsBetween(ctx, db.TenantsBetweenParams{Lower: m.lower, Upper: m.upper})
		if err != nil {
			return err
		}
		if err := q.LockHeads(ctx, tenants); err != nil {
			return err
		}
		whole, err := p.goes(ctx, q, m)
		if err != nil || !whole {
			return err
		}
		if err := q.KeepLeaves(ctx, db.KeepLeavesParams{TenantIds: tenants, Lower: m.lower, Upper: m.upper}); err != nil {
			return err
		}
		gone, err = q.DropMonth(ctx, m.String())
		return err
	})
	return n, gone && err == nil, err
}

func (w *run) tenants(ctx context.Context, p plan) error {
	for _, tenant := range slices.Sorted(maps.Keys(p.floors)) {
		if w.late() {
			return nil
		}
		n, err := w.tenant(ctx, tenant, p.floors[tenant])
		if n > 0 {
			w.events += n
			w.report.Tenants = append(w.report.Tenants, contract.RetentionTenant{TenantID: tenant, Events: n})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tenant removes a tenant's events one by one, in parts.
func (w *run) tenant(ctx context.Context, tenant string, floor time.Time) (all int64, err error) {
	for part := (db.RemoveExpiredRow{Removed: page}); part.Removed == page && !w.late(); {
		err = w.r.cfg.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			q := db.New(tx)
			if err := holds.Lock(ctx, q); err != nil {
				return err
			}
			if err := q.LockHeads(ctx, []string{tenant}); err != nil {
				return err
			}
			part, err = q.RemoveExpired(ctx, db.RemoveExpiredParams{TenantID: tenant, After: part.Last, Before: floor, Page: page})
			return err
		})
		if err != nil {
			return all, err
		}
		all += part.Removed
		w.r.removed.WithLabelValues("one").Add(float64(part.Removed))
		if now := w.r.cfg.Now(); now.Sub(w.said) > say {
			w.said = now
			w.r.cfg.Log.Info("retention: at work", "tenant", tenant, "removed", all)
		}
	}
	if all > 0 {
		w.r.cfg.Log.Info("retention: events removed", "tenant", tenant, "events", all, "before", floor)
	}
	return all, nil
}

// sweep forgets the leaves that are in a full tile by now.
func (r *Retention) sweep(ctx context.Context) error {
	return r.cfg.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		_, err := db.New(tx).SweepLeaves(ctx)
		return err
	})
}

// tell tells what was removed, if anything.
func (w *run) tell(ctx context.Context) error {
	if w.events == 0 {
		return nil
	}
	data := events.RetentionRun{Events: w.events, Tenants: len(w.report.Tenants)}
	for _, m := range w.report.Months {
		data.Months = append(data.Months, m.Month)
	}
	e, err := kit.NewEvent(ctx, events.RetentionApplied, "", 0, data)
	if err != nil {
		return err
	}
	err = w.r.cfg.DB.In(ctx, database.Everything, func(tx pgx.Tx) error { return outbox.Add(ctx, tx, e) })
	if err == nil {
		w.r.cfg.Committed()
	}
	return err
}
