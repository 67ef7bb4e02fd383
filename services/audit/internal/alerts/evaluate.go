package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	// batch is how many events are held against a tenant's alerts in a transaction.
	batch = 1000
	// maxKeys bounds what one alert counts apart, by actor or address.
	maxKeys = 10_000
	// poll finds what another replica stored and did not come to.
	poll = 2 * time.Second
	// sweep is how often counts that say nothing any more are removed.
	sweep = 10 * time.Minute
)

// Evaluator holds trails against alerts, right behind ingest. Any number of
// replicas may run one. A transaction takes a tenant's place, reads what is
// behind it, and commits the counts, the events of the alerts that were raised,
// and the new place together: so each event counts once, whatever is killed.
type Evaluator struct {
	db        *database.DB
	committed func()
	log       *slog.Logger
	wake      chan struct{}

	raised prometheus.Counter
	behind prometheus.Gauge
}

// NewEvaluator returns an Evaluator, which Run runs; committed is told that
// events wait in the outbox.
func NewEvaluator(d *database.DB, committed func(), log *slog.Logger, metrics prometheus.Registerer) *Evaluator {
	e := &Evaluator{
		db: d, committed: committed, log: log, wake: make(chan struct{}, 1),
		raised: prometheus.NewCounter(prometheus.CounterOpts{Name: "buildify_audit_alerts_raised_total", Help: "Alerts that this process raised."}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{Name: "buildify_audit_alerts_behind", Help: "Events that were still to be held against alerts at the last look."}),
	}
	metrics.MustRegister(e.raised, e.behind)
	return e
}

// Wake says that trails have grown. It never blocks.
func (e *Evaluator) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends.
func (e *Evaluator) Run(ctx context.Context) {
	ticker, swept := time.NewTicker(poll), time.Time{}
	defer ticker.Stop()
	for {
		err := e.Round(ctx)
		if err == nil && time.Since(swept) > sweep {
			swept = time.Now()
			err = e.sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Warn("alerts: trails not looked at; will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-e.wake:
			if err != nil { // not at once
				select {
				case <-ctx.Done():
				case <-ticker.C:
				}
			}
		}
	}
}

// Round goes to the end of every trail that has alerts and that no other replica
// is at.
func (e *Evaluator) Round(ctx context.Context) error {
	var tenants []db.BehindAlertsRow
	err := e.db.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		tenants, err = db.New(tx).BehindAlerts(ctx)
		return err
	})
	if err != nil {
		return err
	}
	var all int64
	for _, t := range tenants {
		all += t.Behind
	}
	e.behind.Set(float64(all))
	var failed error
	for _, t := range tenants {
		for more := true; more && ctx.Err() == nil; {
			if more, err = e.step(ctx, t.TenantID); err != nil {
				failed = errors.Join(failed, fmt.Errorf("tenant %s: %w", t.TenantID, err)) // the others' alerts do not wait
				break
			}
		}
	}
	return failed
}

func (e *Evaluator) sweep(ctx context.Context) error {
	return e.db.In(ctx, database.Everything, func(tx pgx.Tx) error {
		_, err := db.New(tx).ExpireAlertCounts(ctx)
		return err
	})
}

// step takes the next part of a tenant's trail.
func (e *Evaluator) step(ctx context.Context, tenant string) (more bool, err error) {
	raised := 0
	err = e.db.In(ctx, tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		place, err := q.TakeAlerts(ctx, tenant)
		if database.Missing(err) { // another replica is at it
			return nil
		}
		if err != nil {
			return err
		}
		alerts, err := q.EnabledAlerts(ctx, tenant)
		if err != nil {
			return err
		}
		if len(alerts) == 0 {
			return q.EndAlerts(ctx, tenant)
		}
		rows, err := q.AlertEvents(ctx, db.AlertEventsParams{TenantID: tenant, After: place, Page: batch})
		if err != nil || len(rows) == 0 {
			return err
		}
		told, err := evaluate(ctx, q, tenant, alerts, rows)
		if err != nil {
			return err
		}
		for _, event := range told {
			if err := outbox.Add(ctx, tx, event); err != nil {
				return err
			}
		}
		raised, more = len(told), len(rows) == batch
		return q.AdvanceAlerts(ctx, db.AdvanceAlertsParams{TenantID: tenant, Seq: rows[len(rows)-1].TenantSeq})
	})
	if err == nil && raised > 0 {
		e.raised.Add(float64(raised))
		e.committed()
	}
	return more && err == nil, err
}

// counted is where an alert counts an event.
type counted struct {
	alert int
	key   string
}

// evaluate holds events against alerts and returns what is to be told.
func evaluate(ctx context.Context, q *db.Queries, tenant string, rows []db.AuditAlert, trail []db.AlertEventsRow) (told []events.Event, err error) {
	alerts := make([]*contract.AuditAlert, len(rows))
	for i, row := range rows {
		if alerts[i], err = alertOf(row); err != nil {
			return nil, err
		}
	}
	var matches [][]counted // of each event
	tallies := map[counted]*tally{}
	for _, event := range trail {
		var of []counted
		for i, alert := range alerts {
			if key, ok := counts(alert.Rule, entryOf(event)); ok && event.TenantSeq > rows[i].FromSeq {
				of = append(of, counted{i, key})
				tallies[counted{i, key}] = &tally{}
			}
		}
		matches = append(matches, of)
	}
	if len(tallies) == 0 {
		return nil, nil
	}
	if err := load(ctx, q, tenant, rows, tallies); err != nil {
		return nil, err
	}
	for i, of := range matches {
		for _, c := range of {
			alert, at := alerts[c.alert], trail[i].OccurredAt
			first, raised := tallies[c].add(alert.Rule, at)
			if !raised {
				continue
			}
			e, err := raising(alert, c.key, trail[i], first)
			if err != nil {
				return nil, err
			}
			told = append(told, e)
		}
	}
	return told, keep(ctx, q, tenant, alerts, tallies)
}

func load(ctx context.Context, q *db.Queries, tenant string, rows []db.AuditAlert, tallies map[counted]*tally) error {
	p := db.AlertCountsParams{TenantID: tenant}
	place := map[string]int{}
	for i, row := range rows {
		place[row.ID] = i
	}
	for c := range tallies {
		p.AlertIds, p.Keys = append(p.AlertIds, rows[c.alert].ID), append(p.Keys, c.key)
	}
	known, err := q.AlertCounts(ctx, p)
	for _, row := range known {
		*tallies[counted{place[row.AlertID], row.Key}] = tally{times: row.Times, quiet: row.QuietUntil}
	}
	return err
}

// kept is a tally on its way into the database.
type kept struct {
	AlertID    string      `json:"alert_id"`
	Key        string      `json:"key"`
	Times      []time.Time `json:"times"`
	QuietUntil time.Time   `json:"quiet_until"`
	ExpiresAt  time.Time   `json:"expires_at"`
}

func keep(ctx context.Context, q *db.Queries, tenant string, alerts []*contract.AuditAlert, tallies map[counted]*tally) error {
	var rows []kept
	apart := map[string]bool{}
	for c, t := range tallies {
		rule := alerts[c.alert].Rule
		rows = append(rows, kept{
			AlertID: alerts[c.alert].ID, Key: c.key, Times: append([]time.Time{}, t.times...), QuietUntil: t.quiet,
			ExpiresAt: time.Now().Add(window(rule) + coolDown(rule)),
		})
		if c.key != "" {
			apart[alerts[c.alert].ID] = true
		}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	if err := q.KeepAlertCounts(ctx, db.KeepAlertCountsParams{TenantID: tenant, Rows: raw}); err != nil {
		return err
	}
	for id := range apart {
		if err := q.BoundAlertCounts(ctx, db.BoundAlertCountsParams{TenantID: tenant, AlertID: id, Most: maxKeys}); err != nil {
			return err
		}
	}
	return nil
}

// raising is the event of a raised alert. Its id follows from what raised it: told
// twice, it is known.
func raising(alert *contract.AuditAlert, key string, by db.AlertEventsRow, first time.Time) (events.Event, error) {
	data := events.AlertRaising{
		ID: alert.ID, TenantID: alert.TenantID, Name: alert.Name, Count: alert.Rule.Count,
		Sequence: by.TenantSeq, First: first.UTC(), Last: by.OccurredAt.UTC(),
	}
	switch alert.Rule.Per {
	case "actor":
		data.Actor = key
	case "address":
		data.Address = key
	}
	e, err := events.New(events.AlertRaised, alert.TenantID, alert.Revision, data)
	if err != nil {
		return e, err
	}
	e.SetID(uuid.NewSHA1(uuid.MustParse(alert.ID), fmt.Appendf(nil, "%s %d", key, by.TenantSeq)).String())
	return e, nil
}

func entryOf(row db.AlertEventsRow) entry {
	e := entry{
		seq: row.TenantSeq, at: row.OccurredAt, action: row.Action, outcome: row.Outcome, source: row.Source,
		resourceType: row.ResourceType, resourceID: row.ResourceID, from: row.Address,
	}
	if row.UserID != nil {
		e.user = *row.UserID
	}
	return e
}
