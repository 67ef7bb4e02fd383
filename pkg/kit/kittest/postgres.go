// Package kittest gives tests what a service stands on: a real PostgreSQL database each.
package kittest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/pgserver"
)

// Time limits: of a server's first start, which may download PostgreSQL, and of each statement
// or migration after that.
const (
	startLimit = 5 * time.Minute
	workLimit  = time.Minute
)

const (
	databasePrefix  = "kittest_"          // kittest_<unix time>_<random>
	directoryPrefix = "buildify-kittest-" // buildify-kittest-<pid>-<random>
	staleAfter      = 6 * time.Hour
)

// Database returns the superuser's URL of a database that is the test's own and is dropped, with
// whatever is still connected, when the test ends. It holds what migrate made.
//
// migrate runs once per process and function, on a template that the tests' databases are copied
// from (some 20 ms each); nil leaves them empty. A function literal that captures variables is
// another function each time it is evaluated, and runs again: keep the function where the tests
// share it. Roles are the whole server's, so migrate must bear that they exist.
//
// The databases are made on the server that DATABASE_URL names (a URL whose role may create
// databases); without it, on a private server that all tests of the process share, which starts
// on first use, without fsync. Have TestMain call Main to remove that server's files at once;
// otherwise a later run of any package's tests does. Safe for parallel tests.
func Database(t testing.TB, migrate func(ctx context.Context, url string) error) (url string) {
	t.Helper()
	c, err := shared.open()
	if err != nil {
		t.Fatalf("no database for the test: %v", err)
	}
	name, err := c.create(migrate)
	if err != nil {
		t.Fatalf("create the test's database: %v", err)
	}
	t.Cleanup(func() {
		if err := c.drop(name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return c.url(name)
}

// Main runs the tests, stops the server that Database may have started, removes its files, and
// exits the process:
//
//	func TestMain(m *testing.M) { kittest.Main(m) }
func Main(m interface{ Run() int }) {
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "kittest:", err)
		code = cmp.Or(code, 1)
	}
	os.Exit(code)
}

// shared is the process's one cluster: a server costs half a second, a database 20 ms.
var shared lazyCluster

type lazyCluster struct {
	mu      sync.Mutex
	cluster *cluster
	err     error
}

func (l *lazyCluster) open() (*cluster, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cluster == nil && l.err == nil { // a failure is final: a second try would fail as slowly
		l.cluster, l.err = openCluster(os.Getenv("DATABASE_URL"))
	}
	return l.cluster, l.err
}

func (l *lazyCluster) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cluster == nil {
		return nil
	}
	return l.cluster.close()
}

// cluster is a server that databases are created on.
type cluster struct {
	admin  *url.URL
	server *pgserver.Server // nil: not ours
	dir    string

	mu        sync.Mutex
	templates map[unsafe.Pointer]func() (string, error)
}

func openCluster(databaseURL string) (*cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	c := &cluster{templates: map[unsafe.Pointer]func() (string, error){}}
	if databaseURL == "" {
		if err := c.startServer(ctx); err != nil {
			return nil, err
		}
		databaseURL = c.server.URL("", "")
	}
	admin, err := url.Parse(databaseURL)
	if err != nil || admin.Scheme == "" {
		return nil, errors.New("DATABASE_URL is not a URL (postgres://user:password@host:port/database)")
	}
	c.admin = admin
	if c.server == nil {
		return c, c.sweepDatabases()
	}
	return c, nil
}

func (c *cluster) startServer(ctx context.Context) error {
	sweepDirectories(ctx)
	dir, err := os.MkdirTemp("", directoryPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return err
	}
	// Root's server runs as another user, who must be able to enter.
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // to pass through, not to read
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c.dir = dir
	c.server, err = pgserver.Start(ctx, pgserver.Config{Dir: dir, Log: log, Volatile: true})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

func (c *cluster) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), workLimit)
	defer cancel()
	if c.server != nil {
		return errors.Join(c.server.Stop(ctx), os.RemoveAll(c.dir))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var failures []error
	for _, template := range c.templates {
		if name, err := template(); err == nil {
			failures = append(failures, c.drop(name))
		}
	}
	return errors.Join(failures...)
}

// url returns the admin's URL of another database.
func (c *cluster) url(database string) string {
	u := *c.admin
	u.Path = "/" + database
	return u.String()
}

func (c *cluster) create(migrate func(context.Context, string) error) (string, error) {
	template := "template0"
	if migrate != nil {
		var err error
		if template, err = c.template(migrate); err != nil {
			return "", err
		}
	}
	name := newName()
	return name, c.copy(template, name)
}

func (c *cluster) copy(template, name string) error {
	statement := "CREATE DATABASE " + name + " TEMPLATE " + template
	if c.server != nil {
		// Costs two checkpoints, which without fsync are nothing, and spares the WAL: 8 ms for 40.
		statement += " STRATEGY file_copy"
	}
	return c.exec(statement)
}

func (c *cluster) drop(name string) error {
	if err := c.disconnect(name); err != nil {
		return err
	}
	return c.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
}

// disconnect ends the connections to a database and waits until they are gone: PostgreSQL, to
// copy or drop it, would wait for them in steps of 100 ms.
func (c *cluster) disconnect(name string) error {
	return c.connect(func(ctx context.Context, conn *pgx.Conn) error {
		for patience := 200; patience > 0; patience-- {
			tag, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'", name)
			if err != nil || tag.RowsAffected() == 0 {
				return err
			}
			time.Sleep(2 * time.Millisecond)
		}
		return nil // whoever comes back this often is dealt with by what follows
	})
}

// template returns the database that migrate has made, which the first caller waits for the
// longest. Functions are told apart by their closure, which two literals or two captures never
// share; the map keeps it alive, so its address is not used again.
func (c *cluster) template(migrate func(context.Context, string) error) (string, error) {
	closure := *(*unsafe.Pointer)(unsafe.Pointer(&migrate)) //nolint:gosec // an identity, never followed
	c.mu.Lock()
	made, ok := c.templates[closure]
	if !ok {
		made = sync.OnceValues(func() (string, error) { return c.makeTemplate(migrate) })
		c.templates[closure] = made
	}
	c.mu.Unlock()
	return made()
}

func (c *cluster) makeTemplate(migrate func(context.Context, string) error) (string, error) {
	name := newName()
	if err := c.copy("template0", name); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), workLimit)
	defer cancel()
	if err := migrate(ctx, c.url(name)); err != nil {
		return "", errors.Join(fmt.Errorf("migrate: %w", err), c.drop(name))
	}
	// A template that someone is connected to cannot be copied.
	if err := c.exec("ALTER DATABASE " + name + " ALLOW_CONNECTIONS false"); err != nil {
		return "", err
	}
	return name, c.disconnect(name)
}

func (c *cluster) exec(statement string) error {
	return c.connect(func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
		return nil
	})
}

// connect lends do a connection to the admin's own database.
func (c *cluster) connect(do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), workLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.admin.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return do(ctx, conn)
}

func newName() string {
	return databasePrefix + strconv.FormatInt(time.Now().Unix(), 10) + "_" + strings.ToLower(rand.Text()[:10])
}

// sweepDatabases drops what processes that were killed left on a server that outlives them.
func (c *cluster) sweepDatabases() error {
	var names []string
	err := c.connect(func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, databasePrefix)
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	for _, name := range names {
		created, _, _ := strings.Cut(strings.TrimPrefix(name, databasePrefix), "_")
		seconds, err := strconv.ParseInt(created, 10, 64)
		if err == nil && time.Since(time.Unix(seconds, 0)) > staleAfter {
			_ = c.drop(name) // another process may be at it too
		}
	}
	return nil
}

// sweepDirectories removes the servers of processes that ended without Main. What cannot be
// removed is someone else's, or in use after all.
func sweepDirectories(ctx context.Context) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), directoryPrefix+"*-*"))
	for _, dir := range dirs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), directoryPrefix), "-")
		if pid, err := strconv.Atoi(owner); err == nil && !alive(pid) {
			_ = pgserver.Remove(ctx, dir)
		}
	}
}

func alive(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = process.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, fs.ErrPermission)
}
