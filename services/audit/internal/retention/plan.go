package retention

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// month is a partition.
type month struct{ lower, upper time.Time }

func (m month) String() string { return m.lower.Format("2006-01") }

// plan is what has had its time.
type plan struct {
	whole  []month              // go as a whole
	rest   []month              // must stay, and hold events that go
	floors map[string]time.Time // of each tenant of which events go one by one
}

// plan finds out what is to be removed now.
func (r *Retention) plan(ctx context.Context, q *db.Queries) (p plan, err error) {
	p.floors = map[string]time.Time{}
	rules, err := r.rules(ctx, q)
	if err != nil || rules.none() {
		return p, err
	}
	now := r.cfg.Now()
	trails, err := q.Trails(ctx)
	if err != nil {
		return p, err
	}
	for _, tenant := range trails {
		if floor, ends := rules.floor(tenant, now); ends {
			p.floors[tenant] = floor
		}
	}
	names, err := q.Months(ctx)
	if err != nil {
		return p, err
	}
	for _, name := range names {
		lower, err := time.Parse("200601", strings.TrimPrefix(name, "events_"))
		if err != nil {
			continue // no month's name
		}
		m := month{lower, lower.AddDate(0, 1, 0)}
		if !slices.ContainsFunc(trails, func(tenant string) bool { return p.over(tenant, m) }) {
			continue
		}
		whole, err := p.goes(ctx, q, m)
		switch {
		case err != nil:
			return p, err
		case whole:
			p.whole = append(p.whole, m)
		default:
			p.rest = append(p.rest, m)
		}
	}
	return p, nil
}

// over reports whether the tenant's time of a month is over.
func (p plan) over(tenant string, m month) bool {
	floor, ends := p.floors[tenant]
	return ends && !floor.Before(m.upper)
}

// goes reports whether nobody needs a month any more.
func (p plan) goes(ctx context.Context, q *db.Queries, m month) (bool, error) {
	tenants, err := q.TenantsBetween(ctx, db.TenantsBetweenParams{Lower: m.lower, Upper: m.upper})
	if err != nil || slices.ContainsFunc(tenants, func(tenant string) bool { return !p.over(tenant, m) }) {
		return false, err
	}
	held, err := q.HeldBetween(ctx, db.HeldBetweenParams{Lower: m.lower, Upper: m.upper})
	return !held, err
}

// count says what a plan would remove.
func (p plan) count(ctx context.Context, q *db.Queries) (*contract.RetentionReport, error) {
	report := &contract.RetentionReport{DryRun: true, Complete: true, Months: []contract.RetentionMonth{}, Tenants: []contract.RetentionTenant{}}
	for _, m := range p.whole {
		n, err := q.CountBetween(ctx, db.CountBetweenParams{Lower: m.lower, Upper: m.upper})
		if err != nil {
			return nil, err
		}
		report.Months = append(report.Months, contract.RetentionMonth{Month: m.String(), Events: n})
	}
	tenants := map[string]*contract.RetentionTenant{}
	add := func(tenant string, events, held int64) {
		if tenants[tenant] == nil {
			tenants[tenant] = &contract.RetentionTenant{TenantID: tenant}
		}
		tenants[tenant].Events += events
		tenants[tenant].Held += held
	}
	for _, m := range p.rest {
		var expired []string
		for tenant := range p.floors {
			if p.over(tenant, m) {
				expired = append(expired, tenant)
			}
		}
		rows, err := q.CountExpired(ctx, db.CountExpiredParams{TenantIds: expired, Lower: m.lower, Upper: m.upper})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			add(row.TenantID, row.Events, row.Held)
		}
	}
	var stray db.CountStrayParams
	for tenant, floor := range p.floors {
		stray.TenantIds, stray.Floors = append(stray.TenantIds, tenant), append(stray.Floors, floor)
	}
	rows, err := q.CountStray(ctx, stray)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		add(row.TenantID, row.Events, row.Held)
	}
	for _, t := range tenants {
		report.Tenants = append(report.Tenants, *t)
	}
	slices.SortFunc(report.Tenants, func(a, b contract.RetentionTenant) int { return strings.Compare(a.TenantID, b.TenantID) })
	return report, nil
}
