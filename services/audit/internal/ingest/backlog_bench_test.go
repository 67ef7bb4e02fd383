package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/audit/internal/record"
)

// BenchmarkBacklog is how fast a backlog of events with 600 bytes of data goes
// into the trails of one tenant, and of many.
func BenchmarkBacklog(b *testing.B) {
	for _, tenants := range []int{1, 500} {
		b.Run(fmt.Sprintf("tenants=%d", tenants), func(b *testing.B) { benchmarkBacklog(b, tenants) })
	}
}

func benchmarkBacklog(b *testing.B, tenants int) {
	w := newWorld(b)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	ids := make([]string, tenants)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	filler, err := json.Marshal(map[string]string{"text": randomText(419)})
	require.NoError(b, err)
	all := make([]events.Outgoing, b.N)
	for i := range all {
		e := event(b, ids[i%tenants], func(d *record.Data) { d.Details = filler })
		all[i] = events.Outgoing{Event: e, ID: uuid.NewString()}
	}
	began := time.Now()
	_, err = events.PublishBatch(ctx, w.js, all)
	require.NoError(b, err)
	published := float64(b.N) / time.Since(began).Seconds()
	w.sent += b.N
	r := w.readerByHand(events.AuditStream)
	consumer, err := w.js.Consumer(ctx, events.AuditStream, durable)
	require.NoError(b, err)
	working, stop := context.WithCancel(ctx)
	own, others := w.cpu(b)
	b.ResetTimer()
	began = time.Now()
	done := make(chan struct{})
	go func() { defer close(done); r.run(working) }()
	for {
		info, err := consumer.Info(ctx)
		require.NoError(b, err)
		if info.AckFloor.Stream >= uint64(w.sent) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "stored/s")
	stop()
	<-done
	ownThen, othersThen := w.cpu(b)
	b.ReportMetric(float64((ownThen-own).Microseconds())/float64(b.N), "go-cpu-us/op")
	b.ReportMetric(float64((othersThen-others).Microseconds())/float64(b.N), "pg-cpu-us/op")
	b.ReportMetric(float64(len(all[0].Event.Data())), "bytes")
	b.ReportMetric(published, "published/s")
	b.ReportMetric(w.copied(b), "copied/s")
}

// cpu is what this process, with the bus in it, and PostgreSQL's have used, on
// Linux: on a machine that others use too, it says more than the time does.
func (w *world) cpu(b *testing.B) (own, postgres time.Duration) {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	rows, err := w.db.Query(bounded(b), "SELECT pid FROM pg_stat_activity")
	require.NoError(b, err)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	require.NoError(b, err)
	for _, pid := range pids {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // a worker may have ended
		if fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); len(fields) > 12 {
			for _, field := range fields[11:13] {
				ticks, _ := strconv.Atoi(field)
				postgres += time.Duration(ticks) * 10 * time.Millisecond
			}
		}
	}
	return own, postgres
}

// copied is how many of the stored rows a second COPY puts into a table that is
// alike, but under no row-level security and in no partitions.
func (w *world) copied(b *testing.B) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.url)
	require.NoError(b, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE TABLE audit.raw (LIKE audit.events INCLUDING INDEXES)")
	require.NoError(b, err)
	rows, err := conn.Query(ctx, "SELECT * FROM audit.events")
	require.NoError(b, err)
	values, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	require.NoError(b, err)
	columns := make([]string, len(rows.FieldDescriptions()))
	for i, f := range rows.FieldDescriptions() {
		columns[i] = f.Name
	}
	began := time.Now()
	for len(values) > 0 {
		n := min(len(values), 2000)
		_, err = conn.CopyFrom(ctx, pgx.Identifier{"audit", "raw"}, columns, pgx.CopyFromRows(values[:n]))
		require.NoError(b, err)
		values = values[n:]
	}
	return float64(b.N) / time.Since(began).Seconds()
}
