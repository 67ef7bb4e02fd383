package pgserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// home is a server's directory, locked by us:
//
//	lock          who holds it; the kernel's lock on this file is what counts
//	data/         PostgreSQL's data directory, complete from the moment it has this name
//	initdb-*/     a data directory in the making, or left by an interrupted start
//	postgres.log  what PostgreSQL prints
type home struct {
	asked    string // Config.Dir, for messages
	dir      string
	data     string
	account  account
	volatile bool
	log      *slog.Logger
	lock     *os.File
}

// openHome finds the directory for the data, makes it and locks it.
func openHome(cfg Config) (*home, error) {
	if !supported {
		return nil, errors.New("a private PostgreSQL does not run on this system: set DATABASE_URL to a running server")
	}
	if cfg.Dir == "" {
		return nil, errors.New("Config.Dir is empty")
	}
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := place(cfg, account)
	if err != nil {
		return nil, err
	}
	h := &home{
		asked: cfg.Dir, dir: dir, data: filepath.Join(dir, "data"),
		account: account, volatile: cfg.Volatile, log: cfg.Log,
	}
	return h, h.acquire()
}

// place makes the directory for the data: cfg.Dir, or where the account reaches it.
func place(cfg Config, a account) (string, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return "", err
	}
	mode := fs.FileMode(0o700)
	if a.dropped {
		mode = 0o755 // only the data directory inside is the account's, and private
	}
	if !a.reaches(dir) {
		name := "pg-" + fingerprint(dir)
		if temp := os.TempDir(); within(dir, temp) && a.reaches(temp) {
			dir = filepath.Join(temp, name)
		} else {
			dir = filepath.Join("/var/lib/buildify", name)
		}
		cfg.Log.Info("the database is kept elsewhere: the user that PostgreSQL runs as cannot reach the directory",
			"directory", cfg.Dir, "kept_in", dir)
	}
	if err := makeDirs(dir, mode); err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	// The name of a replacement can be guessed, so another user may have made it first.
	if info, err := os.Stat(dir); err != nil {
		return "", err
	} else if uid, _ := owner(info); uid != os.Geteuid() && uid != a.uid {
		return "", fmt.Errorf("%s belongs to another user (uid %d)", dir, uid)
	}
	return dir, nil
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// fingerprint names a directory in 12 characters, apart for each user.
func fingerprint(dir string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(os.Geteuid()) + "\x00" + dir))
	return hex.EncodeToString(sum[:6])
}

func (h *home) acquire() error {
	f, err := os.OpenFile(filepath.Join(h.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := h.hold(f); err != nil {
		return errors.Join(err, f.Close())
	}
	h.lock = f
	return nil
}

func (h *home) hold(f *os.File) error {
	if err := tryLock(f); errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := os.ReadFile(f.Name())
		return fmt.Errorf("%w: process %s already runs a server on %s: stop it, or choose another directory",
			ErrInUse, strings.TrimSpace(string(holder)), h.asked)
	} else if err != nil {
		return fmt.Errorf("lock %s: %w", h.dir, err)
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	if current, err := os.Stat(f.Name()); err != nil || !os.SameFile(mine, current) {
		return fmt.Errorf("%w: %s was removed just now: try again", ErrInUse, h.asked)
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	return err
}

func (h *home) close() {
	unlock(h.lock)
	_ = h.lock.Close()
}

// remove deletes what is ours in the directory, the lock last, and the directory if that was all.
func (h *home) remove() error {
	if sockets, err := h.socketDir(); err == nil {
		if err := os.RemoveAll(sockets); err != nil {
			return err
		}
	}
	for _, name := range []string{"data", "postgres.log", "postgres.log.old", "lock"} {
		if err := os.RemoveAll(filepath.Join(h.dir, name)); err != nil {
			return err
		}
	}
	_ = os.Remove(h.dir)
	return nil
}

// recover clears what an interrupted run left: half-made data directories, an orphaned server,
// a pid file whose number may by now be another process's.
func (h *home) recover(ctx context.Context) error {
	unfinished, _ := filepath.Glob(filepath.Join(h.dir, "initdb-*"))
	for _, dir := range unfinished {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove an interrupted initdb: %w", err)
		}
	}
	p, err := readPIDFile(h.data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.pid > 0 && runsOn(p.pid, h.data) {
		h.log.Warn("stopping the PostgreSQL that an interrupted run left behind", "pid", p.pid, "directory", h.dir)
		if err := h.stopOrphan(ctx, p.pid); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(h.data, "postmaster.pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (h *home) stopOrphan(ctx context.Context, pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	_ = process.Signal(syscall.SIGQUIT)
	kill := time.NewTimer(immediateStop)
	defer kill.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for runsOn(pid, h.data) {
		select {
		case <-tick.C:
		case <-kill.C:
			_ = process.Kill()
		case <-ctx.Done():
			return fmt.Errorf("wait for the orphaned PostgreSQL (pid %d) to end: %w", pid, context.Cause(ctx))
		}
	}
	return nil
}

// major returns the version of PostgreSQL that made the data, 0 if there are none.
func (h *home) major() int {
	version, err := os.ReadFile(filepath.Join(h.data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(version)))
	return major
}

// initialise makes the data directory if there is none, under another name until it is complete.
func (h *home) initialise(ctx context.Context, bin binaries) error {
	if info, err := os.Stat(h.data); err == nil && h.major() != 0 {
		if uid, _ := owner(info); h.account.dropped && uid != h.account.uid {
			return h.account.give(h.data) // made while another account was the one to drop to
		}
		return nil
	}
	h.log.Info("creating a PostgreSQL database", "directory", h.dir, "version", bin.major)
	unfinished, err := os.MkdirTemp(h.dir, "initdb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(unfinished) }() // after the rename, nothing
	if err := h.account.give(unfinished); err != nil {
		return err
	}
	args := []string{"--pgdata", unfinished, "--username", Superuser, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-instructions"}
	if bin.major >= 17 { // knows the case of letters beyond ASCII, without the system's locales
		args = append(args, "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8")
	}
	if h.volatile {
		args = append(args, "--no-sync")
	}
	if _, err := h.account.output(ctx, filepath.Join(bin.dir, "initdb"), args...); err != nil {
		return fmt.Errorf("create the database in %s: %w", h.dir, err)
	}
	return os.Rename(unfinished, h.data)
}

// socketDir names the private directory of the sockets. Its path is short, for a socket's may
// have some 100 bytes only, and the same at every start, so that nothing piles up.
func (h *home) socketDir() (string, error) {
	const longest = 103 - len("/.s.PGSQL."+port)
	for _, temp := range []string{os.TempDir(), "/tmp"} {
		dir := filepath.Join(temp, "bfy-pg-"+fingerprint(h.dir))
		if len(dir) <= longest && h.account.reaches(temp) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no directory for the socket: %s and /tmp are too long, or closed to PostgreSQL's user", os.TempDir())
}

// makeSocketDir makes it anew: whatever an earlier run or another user left there goes first.
func (h *home) makeSocketDir() (string, error) {
	dir, err := h.socketDir()
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("clear the socket directory: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the socket directory: %w", err)
	}
	return dir, h.account.give(dir)
}

// pidFile is what PostgreSQL's postmaster.pid tells about its server.
type pidFile struct {
	pid   int
	ready bool
}

func readPIDFile(data string) (pidFile, error) {
	content, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(content), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(lines[0]))
	return pidFile{pid: pid, ready: len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"}, nil
}
