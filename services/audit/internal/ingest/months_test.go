package ingest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// in counts the rows of a tenant by the partition that they are in.
func (w *world) in(tenant string) map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	require.NoError(w.t, w.db.Read(bounded(w.t), tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(bounded(w.t), "SELECT tableoid::regclass::text, count(*)::int FROM events GROUP BY 1")
		if err != nil {
			return err
		}
		var partition string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&partition, &n}, func() error { counts[partition] = n; return nil })
		return err
	}))
	return counts
}

func (w *world) ensureMonth(day time.Time) error {
	return w.db.In(bounded(w.t), database.Everything, func(tx pgx.Tx) error {
		return db.New(tx).EnsureMonth(bounded(w.t), day.Format(time.DateOnly))
	})
}

// at is an audit event of some time, and none of the zero time.
func at(t testing.TB, tenant string, when time.Time) events.Event {
	t.Helper()
	e := event(t, tenant)
	e.SetTime(when)
	return e
}

// Whatever a clock says, the event has its place, once, and what the default
// partition has of a month moves when the month gets its own.
func TestEventsOfSkewedClocksAreStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	now := time.Now().UTC()
	future := time.Date(now.Year()+1, 3, 31, 23, 59, 59, 999_999_999, time.UTC)
	var all []events.Event
	for _, when := range []time.Time{
		time.Unix(0, 0), now.AddDate(-3, 0, 0), future, future.Add(time.Nanosecond), now.AddDate(500, 0, 0), {}, now,
	} {
		all = append(all, at(t, tenant, when))
	}
	twice := func() {
		for _, e := range all {
			w.sendAs(e, uuid.NewString())
			w.sendAs(e, uuid.NewString())
		}
	}
	twice()
	w.ingester()
	w.done()
	require.Equal(t, len(all), w.gapFree(tenant))
	current := "events_" + now.Format("200601")
	require.Equal(t, map[string]int{"events_default": len(all) - 2, current: 2}, w.in(tenant), "the one of no time happened when its id was made")
	require.NoError(t, w.ensureMonth(future))
	require.NoError(t, w.ensureMonth(future))
	moved := map[string]int{"events_default": len(all) - 3, current: 2, "events_" + future.Format("200601"): 1}
	require.Equal(t, moved, w.in(tenant))
	twice()
	w.done()
	require.Equal(t, len(all), w.gapFree(tenant))
	require.Equal(t, moved, w.in(tenant))
	require.Empty(t, w.deadLetters())
	w.holdsTree(tenant)
}

func TestMonthsAreMadeWhileEventsComeIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	const months = 6
	first := time.Date(2020, 1, 15, 0, 0, 0, 0, time.UTC)
	w.ingester()
	var all sync.WaitGroup
	failures := make(chan error, 4*months)
	for range 2 { // replicas
		all.Go(func() {
			for n := range months {
				failures <- w.ensureMonth(first.AddDate(0, n, 0))
			}
		})
	}
	for range 10 {
		for n := range months {
			w.send(at(t, tenant, first.AddDate(0, n, 0)))
		}
	}
	all.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	w.done()
	require.Equal(t, 10*months, w.gapFree(tenant))
	in := w.in(tenant)
	require.Len(t, in, months)
	for partition, n := range in {
		require.Equal(t, 10, n, partition)
	}
	require.Empty(t, w.deadLetters())
}

func TestTheMonthsAroundNowHaveTheirPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The last hour of a month somewhere east of Greenwich.
	require.NoError(t, EnsureMonths(bounded(t), w.db, time.Date(2031, 2, 1, 0, 30, 0, 0, time.FixedZone("", 3600))))
	for _, month := range []string{"203012", "203101", "203102"} {
		var there bool
		require.NoError(t, w.db.QueryRow(bounded(t), "SELECT to_regclass('audit.events_' || $1) IS NOT NULL", month).Scan(&there))
		require.True(t, there, month)
	}
	_, err := w.db.Exec(bounded(t), "SELECT audit.drop_month('2031-01-01')")
	require.NoError(t, err)
	var there bool
	require.NoError(t, w.db.QueryRow(bounded(t), "SELECT to_regclass('audit.events_203101') IS NOT NULL").Scan(&there))
	require.False(t, there)
	_, err = w.db.Exec(bounded(t), "DROP TABLE audit.events_203102")
	require.Error(t, err, "only by the function")
}
