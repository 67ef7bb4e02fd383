package kittest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { Main(m) }

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var value string
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func exec1(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return err // the connection stays open: a careless migration must not block the template
}

var migrations atomic.Int32

func migrateNotes(ctx context.Context, url string) error {
	migrations.Add(1)
	return exec1(ctx, url, "CREATE TABLE notes AS SELECT 'migrated' AS v")
}

func TestEachTestHasItsOwnMigratedDatabase(t *testing.T) {
	t.Parallel()
	t.Run("databases", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				begin := time.Now()
				url := Database(t, migrateNotes)
				t.Logf("%v", time.Since(begin).Round(time.Millisecond))
				if got := query(t, url, "SELECT string_agg(v, ',') FROM notes"); got != "migrated" {
					t.Errorf("found %q", got)
				}
				if err := exec1(t.Context(), url, "INSERT INTO notes VALUES ('mine')"); err != nil {
					t.Error(err)
				}
			})
		}
	})
	if n := migrations.Load(); n != 1 {
		t.Errorf("migrated %d times", n)
	}
}

func TestMigrationsOfOneLiteralThatCaptureDifferentlyAreNotMixedUp(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "two"} {
		url := Database(t, func(ctx context.Context, url string) error {
			return exec1(ctx, url, "CREATE TABLE what AS SELECT '"+name+"' AS v")
		})
		if got := query(t, url, "SELECT v FROM what"); got != name {
			t.Errorf("found %q, want %q", got, name)
		}
	}
}

func TestDatabaseWithoutMigrationIsEmpty(t *testing.T) {
	t.Parallel()
	url := Database(t, nil)
	if got := query(t, url, "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'"); got != "0" {
		t.Errorf("%s tables", got)
	}
}

func TestDatabaseIsDroppedThoughConnected(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("inner", func(t *testing.T) {
		url = Database(t, nil)
		if _, err := pgx.Connect(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	})
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		_ = conn.Close(t.Context())
		t.Error("still there")
	}
}

func TestFailedMigrationIsTold(t *testing.T) {
	t.Parallel()
	c, err := shared.open()
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := c.create(func(context.Context, string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestExternalServerIsUsedAndLeftClean(t *testing.T) {
	t.Parallel()
	own := Database(t, nil)
	c, err := openCluster(own)
	if err != nil {
		t.Fatal(err)
	}
	stale := databasePrefix + "1000_stale"
	if err := c.exec("CREATE DATABASE " + stale); err != nil {
		t.Fatal(err)
	}
	if err := c.sweepDatabases(); err != nil {
		t.Fatal(err)
	}
	name, err := c.create(migrateExternal)
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, c.url(name), "SELECT v FROM external"); got != "migrated" {
		t.Errorf("found %q", got)
	}
	template, err := c.template(migrateExternal)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.drop(name), c.close()); err != nil {
		t.Fatal(err)
	}
	left := "SELECT count(*)::text FROM pg_database WHERE datname IN ('" + stale + "', '" + name + "', '" + template + "')"
	if got := query(t, own, left); got != "0" {
		t.Errorf("%s databases are left", got)
	}
}

func migrateExternal(ctx context.Context, url string) error {
	return exec1(ctx, url, "CREATE TABLE external AS SELECT 'migrated' AS v")
}

func TestDirectoriesOfDeadProcessesAreSwept(t *testing.T) {
	t.Parallel()
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Skip(err)
	}
	dead := filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-test", directoryPrefix, ended.Process.Pid))
	if err := os.MkdirAll(filepath.Join(dead, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	living := filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-test", directoryPrefix, os.Getpid()))
	if err := os.MkdirAll(living, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(living) })
	sweepDirectories(t.Context())
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the dead process's directory: %v", err)
	}
	if _, err := os.Stat(living); err != nil {
		t.Errorf("the living process's directory: %v", err)
	}
}
