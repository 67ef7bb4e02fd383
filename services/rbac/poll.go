package rbac

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

const (
	// interval lies between two questions to the database.
	interval = 250 * time.Millisecond
	// patience is what a step that was committed has left to come by itself.
	patience = 50 * time.Millisecond
	// askTimeout bounds a question, loadTimeout what follows from its answer, and
	// flushTimeout what is told.
	askTimeout   = 2 * time.Second
	loadTimeout  = 10 * time.Second
	flushTimeout = time.Second
	// heldUp is after how long without an answer, good or bad, this replica must
	// have been frozen or starved, and may be behind.
	heldUp = 2 * askTimeout
	// unheard is how long modules wait for a beat before they take everything
	// anew, with a margin. What changed within it before a replica started is
	// repeated: one that was killed may not have told it.
	unheard = 30 * time.Second
)

// pollAll asks the database again and again which tenants changed, mends what
// this replica missed, and then tells modules as of when they know everything.
func (s *Service) pollAll(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	failing := false
	for {
		begin := time.Now()
		recent, err := s.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.metrics.pollFailures.Inc()
			if !failing {
				s.deps.Telemetry.Log.Warn("rbac: the database cannot be asked for changes; modules are told nothing is certain", "error", err)
			}
		default:
			if failing {
				s.deps.Telemetry.Log.Info("rbac: the database answers again")
			}
			s.metrics.asOf(begin)
			if s.beat(begin, recent) {
				s.told = s.polled
			}
		}
		failing = err != nil
		s.evict()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// poll brings this replica up to what the database holds, and returns the
// tenants that changed since modules were last told, and shortly before. One that failed is made up for
// by the next that does not.
func (s *Service) poll(ctx context.Context) (recent []string, err error) {
	rows, now, err := s.ask(ctx)
	s.asked.Store(time.Now().UnixNano())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, row := range rows {
		if row.Recent {
			recent = append(recent, row.TenantID)
		}
		if row.Erased {
			s.app.Engine.Drop(row.TenantID)
			continue
		}
		held := s.app.Engine.Policy(row.TenantID)
		if held != nil && (held.Revision() >= row.Revision || s.app.Engine.Await(soon, row.TenantID, row.Revision) == nil) {
			continue
		}
		s.metrics.reloads.Inc()
		if _, err := s.app.Load(ctx, row.TenantID); err != nil {
			return nil, err
		}
		if held == nil {
			s.reset(row.TenantID)
		}
	}
	s.polled = now
	return recent, nil
}

// ask asks what changed, and for the database's clock before that.
func (s *Service) ask(ctx context.Context) (rows []db.ChangedRevisionsRow, now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = s.deps.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		if now, err = q.Clock(ctx); err != nil {
			return err
		}
		if now.Before(s.polled) { // the clock of another server, perhaps
			s.polled, s.told = now, now.Add(-unheard)
		}
		rows, err = q.ChangedRevisions(ctx, db.ChangedRevisionsParams{Known: s.polled, Told: s.told})
		return err
	})
	return rows, now, err
}

// heldUp reports whether the database was not asked for so long that this
// replica was frozen or starved.
func (s *Service) heldUp() bool { return time.Now().UnixNano()-s.asked.Load() > int64(heldUp) }

// evict drops the policies that nobody asked about for longest, beyond those
// that are to be kept.
func (s *Service) evict() {
	if s.cfg.CacheTenants == 0 {
		return
	}
	for _, idle := range []time.Duration{time.Hour, 10 * time.Minute, time.Minute, time.Second} {
		over := s.metrics.tenants() - s.cfg.CacheTenants
		if over <= 0 {
			return
		}
		for _, tenant := range s.app.Engine.Idle(time.Now().Add(-idle)) {
			if over <= 0 {
				return
			}
			s.app.Engine.Drop(tenant)
			over--
		}
	}
}
