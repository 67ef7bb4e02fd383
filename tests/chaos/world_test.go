package chaos

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

// world is a platform of separate processes, each behind lines of its own to
// the bus and the database.
type world struct {
	*stack.Stack
	postgres *stack.Postgres
	lines    map[string]lines
	// sql is the superuser's way around every line.
	sql *pgxpool.Pool
	js  jetstream.JetStream
}

// lines are those of one service.
type lines struct{ bus, database *stack.Line }

// layout is what may differ between worlds.
type layout struct {
	servers int
	// store and data are the directories of the bus's and of the database's
	// files; a test's own when empty.
	store, data string
}

// services have an outbox each.
var services = []string{"auth", "rbac", "tenant", "audit"}

func newWorld(t *testing.T, l layout) *world {
	t.Helper()
	w := &world{lines: map[string]lines{}}
	if l.data == "" {
		l.data = scratch(t)
	}
	w.postgres = stack.NewPostgres(t, l.data)
	direct := stack.NewLine(t, w.postgres.URL()) // it restarts under another socket
	w.Stack = stack.Layout{
		Database: direct.URL, Servers: l.servers, Store: l.store, Poisoned: true,
		Audit: []string{"--checkpoint-interval", "1s"},
		Through: func(service, bus, database string) (string, string) {
			own := lines{database: stack.NewLine(t, w.postgres.URL())}
			w.lines[service] = own
			if l.servers > 1 { // whose servers tell clients of each other anyway
				return bus, own.database.URL
			}
			own.bus = stack.NewLine(t, bus)
			w.lines[service] = own
			return own.bus.URL, own.database.URL
		},
	}.Start(t)
	var err error
	w.sql, err = pgxpool.New(t.Context(), direct.URL)
	require.NoError(t, err)
	t.Cleanup(w.sql.Close)
	w.js, err = jetstream.New(w.Operator)
	require.NoError(t, err)
	return w
}

// scratch is a directory that PostgreSQL's own user reaches, whoever runs the
// tests.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "buildify-chaos-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "postgres")
}

// patience is how long things may take to be as if nothing had happened: an
// acknowledgement that got lost brings its message again after ten seconds, and
// a consumer that failed pauses for up to thirty.
const patience = 75 * time.Second

// settle waits, when nothing is sent any more, until every outbox is empty and
// the trail has taken all that the streams hold.
func (w *world) settle(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		left := w.unsettled(ctx)
		cancel()
		if left == "" {
			return time.Since(begun)
		}
		require.Less(t, time.Since(begun), patience, "not everything arrives: %s", left)
		<-time.After(50 * time.Millisecond)
	}
}

// unsettled says what is still on its way, nothing when all has arrived.
func (w *world) unsettled(ctx context.Context) string {
	for _, service := range services {
		var waiting int
		if err := w.sql.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{service, "outbox"}.Sanitize()).Scan(&waiting); err != nil {
			return err.Error()
		}
		if waiting > 0 {
			return "the outbox of " + service
		}
	}
	for _, stream := range []string{events.AuditStream, events.EventsStream} {
		consumer, err := w.js.Consumer(ctx, stream, "audit_ingest")
		if err != nil {
			return stream + ": " + err.Error()
		}
		info := consumer.CachedInfo()
		if info.NumPending > 0 || info.NumAckPending > 0 {
			return "the trail's part of stream " + stream
		}
	}
	return ""
}

// logged reports whether a process has said something since its last start.
func logged(p *stack.Process, words string) bool { return strings.Contains(p.Logged(), words) }

// scrape reads a process's metrics.
func scrape(t *testing.T, p *stack.Process) string {
	t.Helper()
	response, err := http.Get(p.OpsURL + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// metric sums a metric of a process over its labels.
func metric(t *testing.T, p *stack.Process, name string) (sum float64) {
	t.Helper()
	for line := range strings.Lines(scrape(t, p)) {
		if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
			fields := strings.Fields(line)
			value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			require.NoError(t, err, line)
			sum += value
		}
	}
	return sum
}
