// Package retention removes what has been in trails for long enough.
//
// It goes by whole months of when events occurred: an event is kept for as long
// as the rule of its tenant says, and a month longer at most. A month whose time
// is over for every tenant in it goes as a whole. Where it is over for some, or a
// legal hold keeps something of it, the events of those for whom it is over go
// one by one. The tree over a trail stays as it is, with its checkpoints, so that
// what remains can be proven as before.
package retention

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Config is what a Retention needs.
type Config struct {
	DB        *database.DB
	Directory *directory.Directory
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	// KeepDays is the installation's rule, 0 for ever.
	KeepDays int
	// Committed is told that events wait in the outbox.
	Committed func()
	// Now tells the time; nil is the clock's.
	Now func() time.Time
}

// Retention serves the operations on retention, and applies it.
type Retention struct {
	cfg     Config
	removed *prometheus.CounterVec
	applied prometheus.Gauge
}

// New returns a Retention.
func New(cfg Config) *Retention {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Retention{
		cfg: cfg,
		removed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "buildify_audit_retention_removed_total", Help: "Audit events that were removed because their time was over, with their month or one by one.",
		}, []string{"how"}),
		applied: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "buildify_audit_retention_applied_seconds", Help: "When this process last removed all whose time was over, in seconds since 1970.",
		}),
	}
	cfg.Metrics.MustRegister(r.removed, r.applied)
	return r
}

// rules are for how long trails are kept, in days; 0 is for ever.
type rules struct {
	usual int
	own   map[string]int
}

func (r *Retention) rules(ctx context.Context, q *db.Queries) (rules, error) {
	all := rules{usual: r.cfg.KeepDays, own: map[string]int{}}
	rows, err := q.Retentions(ctx)
	for _, row := range rows {
		all.own[row.TenantID] = int(*row.KeepDays)
	}
	return all, err
}

// none reports whether everything is kept for ever.
func (r rules) none() bool {
	for _, days := range r.own {
		if days > 0 {
			return false
		}
	}
	return r.usual == 0
}

// floor is when the month begins before which the tenant's time is over.
func (r rules) floor(tenant string, now time.Time) (floor time.Time, ends bool) {
	days, own := r.own[tenant]
	if !own {
		days = r.usual
	}
	if days == 0 {
		return floor, false
	}
	at := now.UTC().AddDate(0, 0, -days)
	return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC), true
}

// known answers not_found for a tenant that there is not.
func (r *Retention) known(ctx context.Context, tenant string) error {
	if _, there := r.cfg.Directory.Tenant(tenant); there || tenant == record.PlatformTenant {
		return nil
	}
	return r.cfg.Directory.AwaitTenant(ctx, tenant)
}

// read runs work in a transaction that sees all tenants.
func (r *Retention) read(ctx context.Context, work func(q *db.Queries) error) error {
	return r.cfg.DB.Read(ctx, database.Everything, func(tx pgx.Tx) error { return work(db.New(tx)) })
}

func (r *Retention) ruleOf(tenant string, row db.AuditRetention) *contract.Retention {
	rule := &contract.Retention{TenantID: tenant, KeepDays: r.cfg.KeepDays, Revision: row.Revision}
	if row.Revision == 0 {
		return rule
	}
	at := row.UpdatedAt.UTC()
	rule.Reason, rule.UpdatedAt = row.Reason, &at
	if row.SetBy != nil {
		rule.SetBy = *row.SetBy
	}
	if row.KeepDays != nil {
		rule.Own, rule.KeepDays = true, int(*row.KeepDays)
	}
	return rule
}
