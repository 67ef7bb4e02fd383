package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/alerts"
	"github.com/buildify/core/services/audit/internal/app"
	"github.com/buildify/core/services/audit/internal/holds"
	"github.com/buildify/core/services/audit/internal/retention"
	"github.com/buildify/core/services/audit/internal/store/db"
	"github.com/buildify/core/services/audit/internal/tail"
)

// heldInterval is how often it is looked whether an erasure waits for no hold any
// more that another replica released.
const heldInterval = time.Minute

// Days is for how long something is kept, 0 for ever: on the command line 400d.
type Days int

// String implements pflag.Value.
func (d *Days) String() string {
	if *d == 0 {
		return ""
	}
	return fmt.Sprintf("%dd", int(*d))
}

// Set implements pflag.Value.
func (d *Days) Set(text string) error {
	days, ok := strings.CutSuffix(text, "d")
	n, err := strconv.Atoi(days)
	switch {
	case text == "forever" || text == "":
		n = 0
	case !ok || err != nil || n < 1 || n > 36500:
		return errors.New("must be a number of days such as 400d, or forever")
	}
	*d = Days(n)
	return nil
}

// Type implements pflag.Value.
func (d *Days) Type() string { return "days" }

// RetentionFlag declares the flag.
func (d *Days) RetentionFlag(fs *pflag.FlagSet) {
	fs.Var(d, "audit-retention", "for how long events stay in tenants' trails that have no rule of their own, such as 400d (default forever)")
}

// watching is what watches over trails.
type watching struct {
	alerts   *alerts.Evaluator
	released chan struct{}
}

// newWatching is before ingest, which tells it of what it stores.
func (s *Service) newWatching() {
	t := s.deps.Telemetry
	s.watch = watching{
		alerts:   alerts.NewEvaluator(s.deps.DB, func() { s.relay.Notify() }, t.Log, t.Metrics),
		released: make(chan struct{}, 1),
	}
}

// grown takes in that trails have grown.
func (s *Service) grown(last map[string]int64) {
	tail.Announce(s.deps.NATS, last)
	s.watch.alerts.Wake()
}

// startWatch serves the tail, alerts, retention and holds, and does their work in
// the background.
func (s *Service) startWatch(a *app.App) error {
	t := s.deps.Telemetry
	r := retention.New(retention.Config{
		DB: s.deps.DB, Directory: s.directory, Log: t.Log, Metrics: t.Metrics, KeepDays: int(s.cfg.Retention), Committed: s.relay.Notify,
	})
	h := &holds.Holds{DB: s.deps.DB, Directory: s.directory, Committed: s.relay.Notify, Released: func() {
		select {
		case s.watch.released <- struct{}{}:
		default:
		}
	}}
	f := &tail.Follower{DB: s.deps.DB, Open: s.personal.Open}
	al := &alerts.Alerts{DB: s.deps.DB, Directory: s.directory, Committed: s.relay.Notify}
	s.days.Go(func() { s.watch.alerts.Run(s.running) })
	s.daily(func(ctx context.Context) error {
		_, err := r.Run(ctx, time.Time{})
		return err
	})
	s.awaitHolds(a)
	return errors.Join(
		kit.Handle(s.server, contract.FollowAudit, ofTrail(func(r *contract.FollowAuditRequest) contract.ID { return r.TenantID },
			func(ctx context.Context, tenant string, r *contract.FollowAuditRequest) (*contract.FollowAuditResponse, error) {
				return f.Follow(ctx, tenant, r)
			})),
		kit.Handle(s.server, contract.CreateAlert, al.Create),
		kit.Handle(s.server, contract.ListAlerts, al.List),
		kit.Handle(s.server, contract.GetAlert, al.Get),
		kit.Handle(s.server, contract.UpdateAlert, al.Update),
		kit.Handle(s.server, contract.DeleteAlert, al.Delete),
		kit.Handle(s.server, contract.TestAlert, al.Test),
		kit.Handle(s.server, contract.GetRetention, ofTrail(func(r *contract.GetRetentionRequest) contract.ID { return r.TenantID },
			func(ctx context.Context, tenant string, _ *contract.GetRetentionRequest) (*contract.Retention, error) {
				return r.Get(ctx, tenant)
			})),
		kit.Handle(s.server, contract.SetRetention, r.Set),
		kit.Handle(s.server, contract.ApplyRetention, r.Apply),
		kit.Handle(s.server, contract.PlaceHold, h.Place),
		kit.Handle(s.server, contract.ReleaseHold, h.Release),
		kit.Handle(s.server, contract.ListHolds, h.List),
	)
}

// ofTrail finds the tenant whose trail the caller reads.
func ofTrail[Req, Resp any](named func(*Req) contract.ID, work func(context.Context, string, *Req) (*Resp, error)) kit.Handler[Req, Resp] {
	return func(ctx context.Context, r *Req) (*Resp, error) {
		tenant, err := app.TrailOf(ctx, named(r))
		if err != nil {
			return nil, err
		}
		return work(ctx, tenant, r)
	}
}

// awaitHolds goes on, until Stop, with the erasures that waited for a hold.
func (s *Service) awaitHolds(a *app.App) {
	active := prometheus.NewGauge(prometheus.GaugeOpts{Name: "buildify_audit_holds", Help: "Legal holds that are not released."})
	waiting := prometheus.NewGauge(prometheus.GaugeOpts{Name: "buildify_audit_held_erasures", Help: "Deleted tenants whose trail a legal hold keeps."})
	s.deps.Telemetry.Metrics.MustRegister(active, waiting)
	look := func(ctx context.Context) error {
		var tenants []string
		err := s.deps.DB.Read(ctx, database.Everything, func(tx pgx.Tx) error {
			q := db.New(tx)
			n, err := q.CountHolds(ctx)
			if err != nil {
				return err
			}
			active.Set(float64(n.Active))
			waiting.Set(float64(n.Waiting))
			tenants, err = q.ReleasedErasures(ctx)
			return err
		})
		for _, tenant := range tenants {
			var again events.Event
			if again, err = events.New(events.TenantErasing, "", 0, events.TenantErasure{TenantID: tenant}); err != nil {
				return err
			}
			if err = a.EraseTenant(ctx, again); err != nil {
				return err
			}
			s.deps.Telemetry.Log.Info("no hold is left: the tenant's trail is erased", "tenant", tenant)
		}
		return err
	}
	s.days.Go(func() {
		ticker := time.NewTicker(heldInterval)
		defer ticker.Stop()
		for {
			if err := look(s.running); err != nil && s.running.Err() == nil {
				s.deps.Telemetry.Log.Warn("held erasures: not looked at; will try again", "error", err)
			}
			select {
			case <-s.running.Done():
				return
			case <-ticker.C:
			case <-s.watch.released:
			}
		}
	})
}
