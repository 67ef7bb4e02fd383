// Package pgserver runs a private PostgreSQL (15 or newer) for development mode and tests.
//
// The server listens on a unix socket only, in a directory of its own with mode 0700. That
// directory is the access control: whoever may enter it (the account that started the server,
// and root) is trusted as any database user, without a password.
//
// The binaries are the installed ones where there are any; else they are downloaded once into
// the user's cache. PostgreSQL refuses to run as root: started by root, the server runs as the
// system user postgres if there is one, else as nobody.
//
// A server ends with the process that started it, even when that is killed (on Linux at once;
// elsewhere the next Start on the same directory stops the orphan). Whatever a crash left behind,
// the next Start repairs.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Superuser is the name of the database role that owns every server of this package.
const Superuser = "buildify"

// ErrInUse says that another live process (or this one) runs a server on the directory. The
// error that wraps it names both.
var ErrInUse = errors.New("directory is in use")

// ErrNotInstalled says that no usable PostgreSQL was found, nor could one be downloaded. The
// error that wraps it says why, and gives the command that installs one.
var ErrNotInstalled = errors.New("PostgreSQL is not installed")

// The port only names the socket file; nothing listens on TCP.
const port = "5432"

// immediateStop bounds how long a server may take to abort its backends after SIGQUIT.
// PostgreSQL itself kills those that linger after 5 seconds.
const immediateStop = 7 * time.Second

// Config says where a server keeps its data and how much it cares for them.
type Config struct {
	// Dir holds the database, its log (postgres.log) and the lock; it is created if missing, is
	// kept between runs, and must not be used for anything else.
	//
	// Started by root, the server runs as another user, who must be able to reach its data. If
	// that user cannot (Dir is below /root, say, or in a directory of mode 0700), they are kept
	// in /var/lib/buildify/pg-<hash of Dir> instead, or for a Dir below the system's temporary
	// directory in a pg-<hash of Dir> directly below that. Server.Dir tells where.
	Dir string

	// Log receives the rare events worth knowing: a first start, a download, a repair. PostgreSQL's
	// own output goes to postgres.log. Nil is silent.
	Log *slog.Logger

	// Volatile trades safety for speed: no fsync. The data survive a crash of the process, but not
	// one of the machine. For tests.
	Volatile bool
}

// Server is a running PostgreSQL. Its methods may be called concurrently.
//
//	Start ──► running ──Stop──► stopped (Done closed, Err nil)
//	             └──── dies ──► failed  (Done closed, Err set)
type Server struct {
	home     *home
	sockets  string
	postgres *child

	stopping atomic.Bool
	done     chan struct{}
	err      error // written before done closes
}

// Start runs a server on cfg.Dir and returns once it accepts connections. ctx bounds the start
// only, a download of the binaries included (some 10 to 30 MB, once): give it minutes where
// PostgreSQL may be missing. Errors wrap ErrInUse or ErrNotInstalled where they apply, and end
// with the last lines of postgres.log where PostgreSQL itself refused.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	return start(ctx, cfg, defaultFinder())
}

func start(ctx context.Context, cfg Config, find finder) (_ *Server, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	find.log = cfg.Log
	home, err := openHome(cfg)
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	defer func() {
		if err != nil {
			home.close()
			err = fmt.Errorf("pgserver: %w", err)
		}
	}()

	if err := home.recover(ctx); err != nil {
		return nil, err
	}
	bin, err := find.binaries(ctx, home.account, home.major())
	if err != nil {
		return nil, err
	}
	if err := home.initialise(ctx, bin); err != nil {
		return nil, err
	}
	sockets, err := home.makeSocketDir()
	if err != nil {
		return nil, err
	}
	s := &Server{home: home, sockets: sockets, done: make(chan struct{})}
	if err := s.launch(ctx, bin); err != nil {
		return nil, err
	}
	return s, nil
}

// URL returns the address of a database for a role, as libpq and pgx read it
// (postgres:///database?host=/socket/directory&…). An empty database means "postgres", which
// always exists; an empty user means Superuser.
func (s *Server) URL(database, user string) string {
	if database == "" {
		database = "postgres"
	}
	if user == "" {
		user = Superuser
	}
	query := url.Values{"host": {s.sockets}, "port": {port}, "user": {user}}
	raw := strings.ReplaceAll(query.Encode(), "+", "%20") // libpq and pgx read a plus as a plus
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: raw}).String()
}

// Dir returns the directory that really holds the data: Config.Dir, made absolute, or its
// replacement where root's server could not reach that one.
func (s *Server) Dir() string { return s.home.dir }

// Done is closed when the server has ended, be it by Stop or by itself.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns nil while the server runs and after Stop; once Done is closed because the server
// died by itself, the reason, with the last lines of its log.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Stop ends the server and waits for it: open connections are cut, their transactions rolled
// back, everything committed is on disk. When ctx ends first the server is stopped the hard
// way, which loses nothing committed either but makes the next Start recover, and Stop returns
// ctx's error. Stopping a server that has ended is no error.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	s.postgres.signal(syscall.SIGINT)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.abort()
	return fmt.Errorf("pgserver: the shutdown was cut short: %w", context.Cause(ctx))
}

// abort ends the server without a checkpoint and waits for that.
func (s *Server) abort() {
	s.stopping.Store(true)
	s.postgres.signal(syscall.SIGQUIT)
	select {
	case <-s.done:
	case <-time.After(immediateStop):
		s.postgres.signal(syscall.SIGKILL)
		<-s.done
	}
}

// Remove deletes everything that servers on dir have kept, after stopping an orphan that still
// runs there, and dir itself if nothing else is in it. It returns an error that wraps ErrInUse
// while a live process holds the directory, and nil if there is nothing to delete.
func Remove(ctx context.Context, dir string) error {
	h, err := openHome(Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	defer h.close()
	err = h.recover(ctx)
	if err == nil {
		err = h.remove()
	}
	if err != nil {
		return fmt.Errorf("pgserver: remove the database of %s: %w", dir, err)
	}
	return nil
}

// launch starts postgres, waits until it is ready and leaves a goroutine that sees it end.
func (s *Server) launch(ctx context.Context, bin binaries) error {
	log, err := s.home.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // postgres has its own copy
	logged := log.offset

	death := syscall.SIGINT // when we die: a fast shutdown
	if s.home.volatile {
		death = syscall.SIGQUIT
	}
	cmd := s.home.account.command(filepath.Join(bin.dir, "postgres"), s.settings(), death)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.home.data, log.File, log.File
	if s.postgres, err = startChild(cmd); err != nil {
		_ = os.RemoveAll(s.sockets)
		return fmt.Errorf("start postgres: %w", err)
	}
	go s.supervise(logged)

	if err := s.waitReady(ctx); err != nil {
		s.abort()
		return fmt.Errorf("postgres did not start: %w\n%s", err, s.home.logTail(logged))
	}
	return nil
}

func (s *Server) supervise(logged int64) {
	<-s.postgres.exited
	if !s.stopping.Load() {
		s.err = fmt.Errorf("pgserver: postgres ended by itself (%s)\n%s", s.postgres.outcome(), s.home.logTail(logged))
	}
	_ = os.RemoveAll(s.sockets)
	s.home.close()
	close(s.done)
}

// waitReady watches postmaster.pid, as pg_ctl does: its last line turns to "ready" once the
// server accepts connections.
func (s *Server) waitReady(ctx context.Context) error {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		if p, err := readPIDFile(s.home.data); err == nil && p.ready && p.pid == s.postgres.pid() {
			return nil
		}
		select {
		case <-s.postgres.exited:
			return errors.New(s.postgres.outcome())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// settings are the server's command line. A small server that shares a laptop: little memory,
// no replication, no parallel plans, nothing that needs /dev/shm.
func (s *Server) settings() []string {
	values := map[string]string{
		"listen_addresses":                "",
		"port":                            port,
		"unix_socket_directories":         `"` + s.sockets + `"`,
		"cluster_name":                    "buildify",
		"shared_buffers":                  "32MB",
		"max_connections":                 "100",
		"max_wal_size":                    "256MB",
		"wal_level":                       "minimal",
		"max_wal_senders":                 "0",
		"max_worker_processes":            "2",
		"max_parallel_workers_per_gather": "0",
		"dynamic_shared_memory_type":      "mmap",
		"huge_pages":                      "off",
		"jit":                             "off",
		"timezone":                        "UTC",
		"log_timezone":                    "UTC",
		"logging_collector":               "off",
		"log_destination":                 "stderr",
		"log_checkpoints":                 "off",
	}
	if s.home.volatile {
		values["fsync"] = "off"
		values["synchronous_commit"] = "off"
		values["full_page_writes"] = "off"
		values["checkpoint_timeout"] = "30min"
	}
	args := []string{"-D", s.home.data}
	for name, value := range values {
		args = append(args, "-c", name+"="+value)
	}
	return args
}
