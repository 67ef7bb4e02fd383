package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/migrations"
	"github.com/buildify/core/pkg/kit/kittest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 30 * time.Second

const (
	tenantA = "aaaaaaaa-0000-7000-8000-000000000001"
	tenantB = "bbbbbbbb-0000-7000-8000-000000000002"
)

func migrate(ctx context.Context, url string) error { return Migrate(ctx, url, nil) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func open(t testing.TB, url, service string) *DB {
	t.Helper()
	db, err := Open(bounded(t), url, service, 4)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func superuser(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(bounded(t), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func sqlState(t testing.TB, err error) string {
	t.Helper()
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	return pg.Code
}

const (
	denied    = "42501" // insufficient_privilege, row-level security included
	notOwner  = "42501"
	readOnly  = "25006"
	duplicate = "23505"
)

func TestAServiceIsNobodyInTheDatabase(t *testing.T) {
	t.Parallel()
	url := kittest.Database(t, migrate)
	for _, service := range migrations.Services {
		db := open(t, url, service)
		var user, path string
		var super, bypass, create, createDB, login, owns bool
		require.NoError(t, db.QueryRow(bounded(t), `SELECT current_user::text, current_schema()::text,
			rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin,
			EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) OR EXISTS (SELECT FROM pg_namespace WHERE nspowner = r.oid)
			FROM pg_roles r WHERE rolname = current_user`).
			Scan(&user, &path, &super, &bypass, &create, &createDB, &login, &owns))
		require.Equal(t, "buildify_"+service, user)
		require.Equal(t, service, path)
		require.False(t, super || bypass || create || createDB || login || owns, service)

		var table string
		require.NoError(t, superuser(t, url).QueryRow(bounded(t),
			"SELECT tablename::text FROM pg_tables WHERE schemaname = $1 AND tablename <> $2 ORDER BY 1 LIMIT 1", service, versionTable).Scan(&table))
		own := service + "." + table
		for name, statement := range map[string]string{
			"drop a table":              "DROP TABLE " + own,
			"add a column":              "ALTER TABLE " + own + " ADD COLUMN x int",
			"truncate":                  "TRUNCATE " + own,
			"switch row security off":   "ALTER TABLE " + own + " DISABLE ROW LEVEL SECURITY",
			"unforce row security":      "ALTER TABLE " + own + " NO FORCE ROW LEVEL SECURITY",
			"own a table":               "ALTER TABLE " + own + " OWNER TO CURRENT_USER",
			"make a table":              "CREATE TABLE " + service + ".x (i int)",
			"make a public table":       "CREATE TABLE public.x (i int)",
			"make a schema":             "CREATE SCHEMA x",
			"drop the schema":           "DROP SCHEMA " + service + " CASCADE",
			"make a role":               "CREATE ROLE buildify_x",
			"read schema_version":       "SELECT * FROM " + service + "." + versionTable,
			"change schema_version":     "DELETE FROM " + service + "." + versionTable,
			"grant itself more":         "ALTER ROLE CURRENT_USER BYPASSRLS",
			"read a file of the server": "SELECT pg_read_file('/etc/passwd')",
		} {
			_, err := db.Exec(bounded(t), statement)
			require.Error(t, err, "%s may %s", service, name)
			require.Equal(t, notOwner, sqlState(t, err), "%s: %s: %v", service, name, err)
		}
		for _, other := range migrations.Services {
			if other == service {
				continue
			}
			rows, err := superuser(t, url).Query(bounded(t), "SELECT tablename::text FROM pg_tables WHERE schemaname = $1", other)
			require.NoError(t, err)
			tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			require.NotEmpty(t, tables)
			for _, foreign := range tables {
				_, err := db.Exec(bounded(t), "SELECT * FROM "+other+"."+foreign)
				require.Error(t, err, "%s reads %s.%s", service, other, foreign)
				require.Equal(t, denied, sqlState(t, err))
			}
		}
	}
}

// inserts is one row of every tenant-owned table, in the order in which they
// may be made. %s is the tenant.
var inserts = []struct{ service, table, column, sql string }{
	{"tenant", "tenants", "id", "INSERT INTO tenants (id, code, name) VALUES ('%[1]s', left('%[1]s', 8), 'n')"},
	{"tenant", "activations", "tenant_id", "INSERT INTO activations (tenant_id, module, enabled) VALUES ('%s', 'crm', true)"},
	{"tenant", "erasures", "tenant_id", "INSERT INTO erasures (tenant_id, service, counts) VALUES ('%s', 'rbac', '{}')"},
	{"tenant", "menu_overrides", "tenant_id", "INSERT INTO menu_overrides (tenant_id) VALUES ('%s')"},
	{"tenant", "hooks", "tenant_id", "INSERT INTO hooks (id, tenant_id, module, event) VALUES ('%[1]s', '%[1]s', 'crm', 'installed')"},
	{"tenant", "settings", "tenant_id", "INSERT INTO settings (tenant_id, user_id, namespace) VALUES ('%[1]s', '%[1]s', 'crm')"},
	{"tenant", "settings_history", "tenant_id", `INSERT INTO settings_history (tenant_id, user_id, namespace, key, secret, by_user)
		VALUES ('%[1]s', '%[1]s', 'crm', 'k', false, '')`},
	{"auth", "tenants", "tenant_id", "INSERT INTO tenants (tenant_id) VALUES ('%s')"},
	// The tenant's id serves as the id of its user and of the user's session.
	{"auth", "users", "tenant_id", "INSERT INTO users (id, tenant_id, email, username, password_hash) VALUES ('%[1]s', '%[1]s', gen_random_uuid()::text, 'u', '')"},
	{"auth", "memberships", "tenant_id", "INSERT INTO memberships VALUES ('%[1]s', '%[1]s')"},
	{"auth", "sessions", "tenant_id", `INSERT INTO sessions (id, user_id, tenant_id, methods, address, agent, expires_at, absolute_until)
		VALUES ('%[1]s', '%[1]s', '%[1]s', '{}', '', '', now(), now())`},
	{"auth", "refresh_tokens", "tenant_id", "INSERT INTO refresh_tokens (mac, session_id, tenant_id) VALUES ('%[1]s'::text::bytea, '%[1]s', '%[1]s')"},
	{"auth", "password_history", "tenant_id", "INSERT INTO password_history (user_id, tenant_id, password_hash) VALUES ('%[1]s', '%[1]s', '')"},
	{"auth", "links", "tenant_id", "INSERT INTO links (mac, user_id, tenant_id, purpose, expires_at) VALUES ('%[1]s'::text::bytea, '%[1]s', '%[1]s', 'reset', now())"},
	{"auth", "totp", "tenant_id", "INSERT INTO totp (user_id, tenant_id, sealed) VALUES ('%[1]s', '%[1]s', '')"},
	{"auth", "recovery_codes", "tenant_id", "INSERT INTO recovery_codes (user_id, tenant_id, mac) VALUES ('%[1]s', '%[1]s', '')"},
	{"auth", "passkeys", "tenant_id", "INSERT INTO passkeys (id, user_id, tenant_id, name, credential) VALUES ('%[1]s'::text::bytea, '%[1]s', '%[1]s', '', '{}')"},
	{"auth", "policies", "tenant_id", "INSERT INTO policies (tenant_id) VALUES ('%[1]s')"},
	{"rbac", "revisions", "tenant_id", "INSERT INTO revisions VALUES ('%s', 1)"},
	{"tenant", "units", "tenant_id", "INSERT INTO units (tenant_id, id, kind, code, name) VALUES ('%[1]s', '%[1]s', 'company', 'c', 'n')"},
	// And here as the id of its role, group and user.
	{"rbac", "roles", "tenant_id", "INSERT INTO roles (id, tenant_id, name, permissions, revision) VALUES ('%[1]s', '%[1]s', 'r', '{}', 1)"},
	{"rbac", "groups", "tenant_id", "INSERT INTO groups (id, tenant_id, name, revision) VALUES ('%[1]s', '%[1]s', 'g', 1)"},
	{"rbac", "members", "tenant_id", "INSERT INTO members VALUES ('%[1]s', '%[1]s', '%[1]s')"},
	{"rbac", "bindings", "tenant_id", "INSERT INTO bindings (id, tenant_id, user_id, role_id, revision) VALUES (gen_random_uuid(), '%[1]s', '%[1]s', '%[1]s', 1)"},
	{"rbac", "tenants", "tenant_id", "INSERT INTO tenants VALUES ('%s', true, 1)"},
	{"rbac", "modules", "tenant_id", "INSERT INTO modules VALUES ('%s', 'crm', true, 1)"},
	{"rbac", "units", "tenant_id", "INSERT INTO units VALUES ('%[1]s', '%[1]s', NULL, false, 1)"},
	{"rbac", "users", "tenant_id", "INSERT INTO users VALUES ('%[1]s', '%[1]s', false, 1)"},
	{"audit", "heads", "tenant_id", "INSERT INTO heads VALUES ('%s', 1)"},
	{"audit", "calls", "tenant_id", "INSERT INTO calls VALUES ('%s', now(), gen_random_uuid(), 0, now(), '', 1, '{}', '')"},
	{"audit", "webhooks", "tenant_id", "INSERT INTO webhooks (id, tenant_id, url, types, secret) VALUES ('%[1]s', '%[1]s', '', '{}', '')"},
	{"audit", "webhook_deliveries", "tenant_id", `INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, event_id, event_type, event_tenant, event_time, body, state)
		VALUES ('%[1]s', '%[1]s', '%[1]s', '', '', '%[1]s', now(), '', 'waiting')`},
	{"audit", "webhook_attempts", "tenant_id", `INSERT INTO webhook_attempts (tenant_id, delivery_id, number, at, status, latency_ms, answer, error)
		VALUES ('%[1]s', '%[1]s', 1, now(), 0, 0, '', '')`},
	{"audit", "events", "tenant_id", `INSERT INTO events (tenant_id, tenant_seq, id, message_id, occurred_at, stream, type, source, action, outcome, reason, module, key_id,
			resource_type, resource_id, request_id, operation, address, agent, entry, leaf)
		VALUES ('%s', 1, gen_random_uuid(), gen_random_uuid()::text, now(), 'AUDIT', '', '', '', 'success', '', '', '', '', '', '', '', '', '', '', '')`},
	{"audit", "events_before", "tenant_id", `INSERT INTO events_before (tenant_id, tenant_seq, id, message_id, occurred_at, source, action, resource_type, resource_id, request_id, outcome, received, stream)
		VALUES ('%s', 1, gen_random_uuid(), gen_random_uuid()::text, now(), '', '', '', '', '', 'success', '', 'AUDIT')`},
	{"audit", "person_keys", "tenant_id", "INSERT INTO person_keys VALUES ('%[1]s', '%[1]s', '')"},
	{"audit", "checkpoints", "tenant_id", "INSERT INTO checkpoints VALUES ('%s', 1, '', '')"},
	{"audit", "tiles", "tenant_id", "INSERT INTO tiles VALUES ('%s', 0, 0, '')"},
	{"audit", "kept_leaves", "tenant_id", "INSERT INTO kept_leaves VALUES ('%s', 1, '')"},
	{"audit", "alerts", "tenant_id", "INSERT INTO alerts (tenant_id, id, name, rule, enabled, from_seq) VALUES ('%[1]s', '%[1]s', 'a', '{}', true, 0)"},
	{"audit", "alert_cursors", "tenant_id", "INSERT INTO alert_cursors VALUES ('%s', 0)"},
	{"audit", "alert_counts", "tenant_id", "INSERT INTO alert_counts VALUES ('%[1]s', '%[1]s', '', '{}', now(), now())"},
	{"audit", "retention", "tenant_id", "INSERT INTO retention (tenant_id, reason) VALUES ('%s', '')"},
	{"audit", "holds", "tenant_id", "INSERT INTO holds (id, tenant_id, reason) VALUES ('%[1]s', '%[1]s', '')"},
	{"audit", "held_erasures", "tenant_id", "INSERT INTO held_erasures (tenant_id) VALUES ('%s')"},
}

func TestEveryTenantOwnedTableIsUnderForcedRowSecurity(t *testing.T) {
	t.Parallel()
	url := kittest.Database(t, migrate)
	rows, err := superuser(t, url).Query(bounded(t), `
		SELECT c.table_schema || '.' || c.table_name, k.relrowsecurity AND k.relforcerowsecurity
			AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = k.oid), k.relispartition
		FROM information_schema.columns c
		JOIN pg_class k ON k.oid = (quote_ident(c.table_schema) || '.' || quote_ident(c.table_name))::regclass
		WHERE c.table_schema = ANY($1) AND (c.column_name = 'tenant_id' OR (c.table_schema, c.table_name, c.column_name) = ('tenant', 'tenants', 'id'))
		ORDER BY 1`, migrations.Services)
	require.NoError(t, err)
	type table struct {
		Name      string
		Secured   bool
		Partition bool
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	require.NoError(t, err)
	var known []string
	for _, i := range inserts {
		known = append(known, i.service+"."+i.table)
	}
	var found []string
	for _, table := range tables {
		require.True(t, table.Secured, "%s has rows of tenants and no forced row-level security", table.Name)
		if !table.Partition { // of a table that is tried
			found = append(found, table.Name)
		}
	}
	require.ElementsMatch(t, known, found, "give a new table its line in inserts, so that the next test tries it")
}

func TestATransactionSeesAndTouchesItsTenantOnly(t *testing.T) {
	t.Parallel()
	url := kittest.Database(t, migrate)
	for _, c := range inserts {
		db := open(t, url, c.service)
		do := func(scope, sql string, args ...any) (affected int64, err error) {
			err = db.In(bounded(t), scope, func(tx pgx.Tx) error {
				tag, err := tx.Exec(bounded(t), sql, args...)
				affected = tag.RowsAffected()
				return err
			})
			return affected, err
		}
		// Roles that come with the platform belong to no tenant; all see them.
		query := fmt.Sprintf("SELECT count(*) FROM %s WHERE %s <> '00000000-0000-0000-0000-000000000000'", c.table, c.column)
		count := func(scope string) (n int) {
			require.NoError(t, db.Read(bounded(t), scope, func(tx pgx.Tx) error {
				return tx.QueryRow(bounded(t), query).Scan(&n)
			}))
			return n
		}
		for _, tenant := range []string{tenantA, tenantB} {
			_, err := do(tenant, fmt.Sprintf(c.sql, tenant))
			require.NoError(t, err, c.table)
			require.Equal(t, 1, count(tenant), c.table)
		}
		require.Equal(t, 2, count(Everything), c.table)

		for _, scope := range []string{
			"", " ", "nobody", "%", "**", "* ", tenantA + " ", strings.ToUpper(tenantA), tenantA + "," + tenantB, "' OR true --", "NULL", "null",
		} {
			require.Zero(t, count(scope), "%s: %q sees rows", c.table, scope)
		}
		var n int
		require.NoError(t, db.QueryRow(bounded(t), "SELECT count(*) FROM "+c.table).Scan(&n))
		require.Zero(t, n, "%s: rows are seen without a scope", c.table)

		// The other tenant's row cannot be made, changed, taken or removed.
		_, err := do(tenantA, "DELETE FROM "+c.table)
		require.NoError(t, err)
		require.Equal(t, 1, count(tenantB), "%s: A removed B's row", c.table)
		_, err = do(tenantB, fmt.Sprintf(c.sql, tenantA))
		require.Error(t, err, "%s: B makes a row of A", c.table)
		require.Equal(t, denied, sqlState(t, err))
		_, err = do("", fmt.Sprintf(c.sql, tenantA))
		require.Error(t, err, "%s: a row is made without a scope", c.table)
		require.Equal(t, denied, sqlState(t, err))
		_, err = do(tenantB, fmt.Sprintf("UPDATE %s SET %s = $1", c.table, c.column), tenantA)
		require.Error(t, err, "%s: B gives its row to A", c.table)
		affected, err := do(tenantA, fmt.Sprintf("UPDATE %[1]s SET %[2]s = %[2]s WHERE %[2]s = $1", c.table, c.column), tenantB)
		require.NoError(t, err)
		require.Zero(t, affected, "%s: A changes B's row", c.table)
		_, err = do(tenantA, fmt.Sprintf(c.sql, tenantA)) // for the tables that refer to it
		require.NoError(t, err, c.table)
	}
}

func TestATenantReadsThePlatformsRolesAndChangesNone(t *testing.T) {
	t.Parallel()
	db := open(t, kittest.Database(t, migrate), "rbac")
	count := func(scope string) (n int) {
		require.NoError(t, db.Read(bounded(t), scope, func(tx pgx.Tx) error {
			return tx.QueryRow(bounded(t), "SELECT count(*) FROM roles").Scan(&n)
		}))
		return n
	}
	require.Zero(t, count(""))
	require.Equal(t, 3, count(tenantA))
	for _, sql := range []string{"DELETE FROM roles", "UPDATE roles SET permissions = '{*:**}'"} {
		require.NoError(t, db.In(bounded(t), tenantA, func(tx pgx.Tx) error {
			tag, err := tx.Exec(bounded(t), sql)
			require.Zero(t, tag.RowsAffected(), sql)
			return err
		}))
	}
	require.Error(t, db.In(bounded(t), tenantA, func(tx pgx.Tx) error {
		_, err := tx.Exec(bounded(t), `INSERT INTO roles (id, tenant_id, name, permissions, revision)
			VALUES (gen_random_uuid(), '00000000-0000-0000-0000-000000000000', 'r', '{*:**}', 1)`)
		return err
	}))
}

func TestATransactionCommitsOrLeavesNothing(t *testing.T) {
	t.Parallel()
	db := open(t, kittest.Database(t, migrate), "rbac")
	insert := func(tx pgx.Tx) error {
		_, err := tx.Exec(bounded(t), "INSERT INTO revisions VALUES ($1, 1)", tenantA)
		return err
	}
	failure := errors.New("failure")
	require.ErrorIs(t, db.In(bounded(t), tenantA, func(tx pgx.Tx) error { return errors.Join(insert(tx), failure) }), failure)
	require.Panics(t, func() {
		_ = db.In(bounded(t), tenantA, func(tx pgx.Tx) error { _ = insert(tx); panic("x") })
	})
	ctx, cancel := context.WithCancel(bounded(t))
	require.Error(t, db.In(ctx, tenantA, func(tx pgx.Tx) error { defer cancel(); return insert(tx) }))
	require.Equal(t, readOnly, sqlState(t, db.Read(bounded(t), tenantA, insert)))
	require.NoError(t, db.In(bounded(t), tenantA, insert), "nothing was left")
	err := db.In(bounded(t), tenantA, insert)
	constraint, ok := Duplicate(err)
	require.True(t, ok)
	require.Equal(t, "revisions_pkey", constraint)
	require.Equal(t, duplicate, sqlState(t, err))
	_, ok = Duplicate(failure)
	require.False(t, ok)
	require.True(t, Missing(fmt.Errorf("x: %w", pgx.ErrNoRows)))
	require.False(t, Missing(failure))
	require.EqualValues(t, 0, db.Stat().AcquiredConns(), "a panic keeps a connection")
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := Open(bounded(t), kittest.Database(t, nil), "no_such_service", 1)
	require.ErrorContains(t, err, "buildify migrate")
	_, err = Open(bounded(t), "mysql://root:hunter2@h/x", "auth", 1)
	require.ErrorContains(t, err, "not a PostgreSQL URL")
	require.NotContains(t, err.Error(), "hunter2")
	_, err = Open(bounded(t), "postgres://u:hunter2@127.0.0.1:1/x", "auth", 1)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestRedactKeepsThePasswordOut(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"postgres://u:p@h:1/d":             "postgres://u@h:1/d",
		"postgres://u:p@ss:w@h/d":          "postgres://u@h/d",
		"postgres://u@h/d":                 "postgres://u@h/d",
		"postgres://h/d":                   "postgres://h/d",
		"":                                 "",
		"postgres:///d?host=/tmp&user=u":   "postgres:///d?host=/tmp&user=u",
		"postgres://u:p%40@h/d?sslmode=no": "postgres://u@h/d?sslmode=no",
	} {
		require.Equal(t, want, Redact(in))
	}
}

func TestMigrateIsIdempotentAndConcurrent(t *testing.T) {
	t.Parallel()
	url := kittest.Database(t, nil)
	var mu sync.Mutex
	applied := map[string]int{}
	progress := func(service, file string) {
		mu.Lock()
		defer mu.Unlock()
		applied[service+"/"+file]++
	}
	var all sync.WaitGroup
	failures := make(chan error, 4)
	for range cap(failures) {
		all.Go(func() { failures <- Migrate(bounded(t), url, progress) })
	}
	all.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	require.GreaterOrEqual(t, len(applied), len(migrations.Services))
	for file, times := range applied {
		require.Equal(t, 1, times, file)
	}
	require.NoError(t, Migrate(bounded(t), url, func(service, file string) { t.Errorf("%s %s again", service, file) }))
	for _, service := range migrations.Services {
		open(t, url, service)
	}
}

// A migration that is killed after its last file and before its grants must
// not leave a service without any for ever.
func TestMigrateGivesLostGrantsBack(t *testing.T) {
	t.Parallel()
	url := kittest.Database(t, migrate)
	_, err := superuser(t, url).Exec(bounded(t), "REVOKE ALL ON ALL TABLES IN SCHEMA rbac FROM buildify_rbac; REVOKE ALL ON SCHEMA rbac FROM buildify_rbac")
	require.NoError(t, err)
	db := open(t, url, "rbac")
	_, err = db.Exec(bounded(t), "SELECT * FROM rbac.roles")
	require.Error(t, err)
	require.NoError(t, Migrate(bounded(t), url, nil))
	_, err = db.Exec(bounded(t), "SELECT * FROM rbac.roles")
	require.NoError(t, err)
	_, err = db.Exec(bounded(t), "SELECT * FROM rbac."+versionTable)
	require.Error(t, err)
}

func TestMigrateEndsWithItsContext(t *testing.T) {
	t.Parallel()
	url := kittest.Database(t, nil)
	holder := superuser(t, url)
	_, err := holder.Exec(bounded(t), "SELECT pg_advisory_lock($1)", int64(lockKey))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(bounded(t), 100*time.Millisecond)
	defer cancel()
	require.Error(t, Migrate(ctx, url, nil), "another process migrates")
	_, err = holder.Exec(bounded(t), "SELECT pg_advisory_unlock_all()")
	require.NoError(t, err)
	require.NoError(t, Migrate(bounded(t), url, nil))
}

func TestADatabaseWithoutTheServicesRoleSaysWhatToRun(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), kittest.Database(t, nil), "nobody", 0)
	require.ErrorContains(t, err, "buildify migrate")
	_, err = Open(t.Context(), "postgres://127.0.0.1:1/none", "tenant", 0)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "migrate", "a server that is away is not mended by migrating")
}
