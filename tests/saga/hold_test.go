package saga

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

// when is the moment of an event's life in its service's outbox at which a hold
// keeps the database: every crash is before or after one of these.
type when int

const (
	// written: the step has written its event, in a transaction that is open.
	written when = iota
	// committing: the service asked to commit and has no answer. It dies there,
	// and the database commits.
	committing
	// published: the relay has published the event and is about to delete it.
	published
)

// hold keeps one service where it is about to tell an event.
type hold struct {
	t       *testing.T
	conn    *pgx.Conn
	key     int
	table   string
	trigger string
}

var holds int // keys of holds; the tests of a database run one after the other

// newHold has the database keep the service when it comes to an event of the
// kind whose data contains what. Nobody but the test is stopped by it before.
func newHold(t *testing.T, s *stack.Stack, at when, kind events.Kind, what string) *hold {
	t.Helper()
	holds++
	conn, err := pgx.Connect(stack.Context(t), s.DatabaseURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	h := &hold{t: t, conn: conn, key: 7000 + holds, table: kind.Service + ".outbox", trigger: fmt.Sprintf("hold_%d", holds)}
	row, trigger := "NEW", "CREATE TRIGGER %s AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION public.%[1]s()"
	switch at {
	case committing:
		trigger = "CREATE CONSTRAINT TRIGGER %s AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.%[1]s()"
	case published:
		row, trigger = "OLD", "CREATE TRIGGER %s AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION public.%[1]s()"
	}
	h.exec("SELECT pg_advisory_lock($1)", h.key)
	h.exec(fmt.Sprintf(`CREATE FUNCTION public.%s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF %[2]s.event ->> 'type' = '%[3]s'
			AND convert_from(decode(%[2]s.event ->> 'data_base64', 'base64'), 'UTF8') LIKE '%%%[4]s%%' THEN
			PERFORM pg_advisory_xact_lock(%[5]d);
		END IF;
		RETURN NULL;
	END $$`, h.trigger, row, kind.Type(), what, h.key))
	h.exec(fmt.Sprintf(trigger, h.trigger, h.table))
	return h
}

func (h *hold) exec(sql string, args ...any) {
	h.t.Helper()
	_, err := h.conn.Exec(stack.Context(h.t), sql, args...)
	require.NoError(h.t, err, sql)
}

// reached waits until the service is there.
func (h *hold) reached() {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		var waiting int
		err := h.conn.QueryRow(stack.Context(h.t), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted", h.key).
			Scan(&waiting)
		return err == nil && waiting > 0
	}, 2*stack.Timeout, 5*time.Millisecond, "nobody comes to it: %s", h.table)
}

// open lets the database go on, for whoever is there to hear it.
func (h *hold) open() {
	h.t.Helper()
	h.exec("SELECT pg_advisory_unlock($1)", h.key)
}

// release is open, and nobody is kept any more.
func (h *hold) release() {
	h.t.Helper()
	h.open()
	h.remove()
}

// remove waits for all who are using the outbox.
func (h *hold) remove() {
	h.t.Helper()
	h.exec(fmt.Sprintf("DROP TRIGGER %s ON %s", h.trigger, h.table))
	h.exec(fmt.Sprintf("DROP FUNCTION public.%s()", h.trigger))
}

// silence keeps a service's relay from publishing anything, until the function
// that it returns is called.
func (h *hold) silence() (end func()) {
	h.t.Helper()
	conn, err := pgx.Connect(stack.Context(h.t), h.conn.Config().ConnString())
	require.NoError(h.t, err)
	_, err = conn.Exec(stack.Context(h.t), "SELECT pg_advisory_lock($1::regclass::oid::bigint)", h.table)
	require.NoError(h.t, err)
	return func() { _ = conn.Close(context.Background()) }
}

// one is what a query says.
func one[T any](t *testing.T, s *stack.Stack, sql string, args ...any) (value T) {
	t.Helper()
	conn, err := pgx.Connect(stack.Context(t), s.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	require.NoError(t, conn.QueryRow(stack.Context(t), sql, args...).Scan(&value), sql)
	return value
}

// leftOf counts the rows of every table of every schema in which the tenant's id
// stands anywhere.
func leftOf(t *testing.T, s *stack.Stack, tenant string) map[string]int {
	t.Helper()
	conn, err := pgx.Connect(stack.Context(t), s.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(stack.Context(t), `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname IN ('auth', 'rbac', 'tenant', 'audit') AND c.relkind IN ('r', 'p') AND NOT c.relispartition`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 40)
	left := map[string]int{}
	for _, table := range tables {
		if strings.HasSuffix(table, ".outbox") {
			continue // on its way
		}
		var n int
		require.NoError(t, conn.QueryRow(stack.Context(t), "SELECT count(*) FROM "+table+" AS r WHERE r::text LIKE '%' || $1 || '%'", tenant).Scan(&n))
		if n > 0 {
			left[table] = n
		}
	}
	return left
}
