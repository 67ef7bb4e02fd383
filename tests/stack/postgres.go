package stack

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/pgserver"
)

// Postgres is a PostgreSQL server of a test's own, which keeps what it
// committed whatever happens to its processes.
type Postgres struct {
	t      testing.TB
	dir    string
	server *pgserver.Server
}

// NewPostgres starts a server on the directory, until the test ends.
func NewPostgres(t testing.TB, dir string) *Postgres {
	t.Helper()
	p := &Postgres{t: t, dir: dir}
	p.Start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PostgreSQL:\n%s", p.Logged())
		}
		_ = p.server.Stop(Context(t)) // what fails is removed as well
		_ = pgserver.Remove(context.WithoutCancel(t.Context()), dir)
	})
	return p
}

// URL is the superuser's, of the database that always exists.
func (p *Postgres) URL() string { return p.server.URL("", "") }

// Dir is where its data are.
func (p *Postgres) Dir() string { return filepath.Join(p.server.Dir(), "data") }

// Start starts the server, which recovers, and waits until it is ready.
func (p *Postgres) Start() {
	p.t.Helper()
	var err error
	p.server, err = pgserver.Start(Context(p.t), pgserver.Config{Dir: p.dir})
	require.NoError(p.t, err)
}

// Running reports whether the server has not ended.
func (p *Postgres) Running() bool {
	select {
	case <-p.server.Done():
		return false
	default:
		return true
	}
}

// PIDs are the server's processes, the postmaster first.
func (p *Postgres) PIDs() (all []int) {
	content, err := os.ReadFile(filepath.Join(p.Dir(), "postmaster.pid"))
	if err != nil {
		return nil
	}
	first, _, _ := strings.Cut(string(content), "\n")
	postmaster, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return nil
	}
	all = append(all, postmaster)
	children, _ := os.ReadFile(filepath.Join("/proc", first, "task", first, "children"))
	for _, child := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// Kill ends the postmaster with SIGKILL and, as whatever kills a container
// does, its backends.
func (p *Postgres) Kill() {
	for _, pid := range p.PIDs() {
		_ = syscall.Kill(pid, syscall.SIGKILL) // already gone is as good
	}
	<-p.server.Done()
}

// Logged is what the server has printed in all its runs.
func (p *Postgres) Logged() string {
	content, _ := os.ReadFile(filepath.Join(p.server.Dir(), "postgres.log"))
	return string(content)
}
