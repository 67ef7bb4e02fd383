package reading

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
)

const defaultTop = 20

// Stats answers audit.stats.
func (r *Reading) Stats(ctx context.Context, q *contract.AuditStatsRequest) (*contract.AuditStatsResponse, error) {
	tenant, err := r.TrailOf(ctx, q.TenantID)
	if err != nil {
		return nil, err
	}
	answer := &contract.AuditStatsResponse{
		Interval: cmp.Or(q.Interval, "hour"), Until: time.Now().UTC(),
		Times: []contract.AuditTime{}, Actions: []contract.AuditCount{}, Outcomes: []contract.AuditCount{}, Actors: []contract.AuditCount{},
	}
	usual, longest := 24*time.Hour, 31*24*time.Hour
	if answer.Interval == "day" {
		usual, longest = 30*24*time.Hour, 400*24*time.Hour
	}
	if q.Until != nil {
		answer.Until = q.Until.UTC()
	}
	answer.From = answer.Until.Add(-usual)
	if q.From != nil {
		answer.From = q.From.UTC()
	}
	switch took := answer.Until.Sub(answer.From); {
	case took <= 0:
		return nil, contract.Invalid("from", "is not before until")
	case took > longest:
		return nil, contract.Invalid("from", "is more than %d days before until: ask for less, or by day for at most 400 days", longest/(24*time.Hour))
	}
	f := ofStats(q)
	f.from, f.until = &answer.From, &answer.Until
	c := f.conditions(tenant)
	if len(c.wide) > 0 { // what is counted is looked at anyway
		var tried string
		tried, c.args = c.tried(c.args)
		c.narrow = append(c.narrow, tried)
	}
	sql, args := c.candidates("action, outcome, user_id, occurred_at", true, math.MaxInt64, contract.MaxCounted)
	sql = fmt.Sprintf(`WITH counted AS MATERIALIZED (SELECT action, outcome, coalesce(user_id::text, '') AS actor,
			date_trunc('%s', occurred_at, 'UTC') AS at FROM (%s) AS newest)
		SELECT GROUPING(action, outcome, actor) AS by, coalesce(action, outcome, actor, ''), NULL::timestamptz AS at, count(*), 0::bigint, 0::bigint
		FROM counted GROUP BY GROUPING SETS ((action), (outcome), (actor))
		UNION ALL SELECT 7, '', at, count(*), count(*) FILTER (WHERE outcome = 'failure'), count(*) FILTER (WHERE outcome = 'denied')
		FROM counted GROUP BY at`, answer.Interval, sql)
	err = r.read(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		return answerStats(answer, rows)
	})
	if err != nil {
		return nil, err
	}
	top := cmp.Or(q.Top, defaultTop)
	for _, counts := range [][]contract.AuditCount{answer.Actions, answer.Outcomes, answer.Actors} {
		slices.SortFunc(counts, func(a, b contract.AuditCount) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
		})
	}
	answer.Actions, answer.Actors = answer.Actions[:min(len(answer.Actions), top)], answer.Actors[:min(len(answer.Actors), top)]
	slices.SortFunc(answer.Times, func(a, b contract.AuditTime) int { return a.Time.Compare(b.Time) })
	return answer, nil
}

// answerStats takes in the groups: which of the three columns a group is not about
// is told in bits.
func answerStats(answer *contract.AuditStatsResponse, rows pgx.Rows) error {
	var by int
	var text string
	var at *time.Time
	var n, failure, denied int64
	_, err := pgx.ForEachRow(rows, []any{&by, &text, &at, &n, &failure, &denied}, func() error {
		count := contract.AuditCount{Value: text, Count: n}
		switch by {
		case 0b011:
			answer.Actions = append(answer.Actions, count)
		case 0b101:
			answer.Outcomes = append(answer.Outcomes, count)
		case 0b110:
			answer.Actors = append(answer.Actors, count)
		default:
			answer.Times = append(answer.Times, contract.AuditTime{Time: at.UTC(), Count: n, Failure: failure, Denied: denied})
			answer.Counted += n
		}
		return nil
	})
	answer.Complete = answer.Counted < contract.MaxCounted
	return err
}
