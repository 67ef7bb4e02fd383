package chaos

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/buildify/core/tests/stack"
)

// disk is one that can be filled. Where file systems may be mounted it is one of
// its own in memory, whose size shrinks to what is used; elsewhere the processes
// that write there may make no file longer than the longest one is.
type disk struct {
	dir     string
	mounted bool
	writers func() []int
}

func newDisk(t *testing.T, writers func() []int) *disk {
	t.Helper()
	d := &disk{dir: filepath.Dir(scratch(t)), writers: writers}
	err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, "size=8g,mode=0755")
	if err != nil {
		t.Logf("no file system of its own (%v): the processes' files are limited instead", err)
		return d
	}
	d.mounted = true
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	return d
}

// fill leaves next to nothing.
func (d *disk) fill(t *testing.T) {
	t.Helper()
	if !d.mounted {
		longest := int64(0)
		_ = filepath.WalkDir(d.dir, func(_ string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				if info, err := entry.Info(); err == nil {
					longest = max(longest, info.Size())
				}
			}
			return nil // what is gone meanwhile is no longer the longest
		})
		d.limit(t, uint64(longest))
		return
	}
	var stat syscall.Statfs_t
	require.NoError(t, syscall.Statfs(d.dir, &stat))
	d.resize(t, fmt.Sprint((int64(stat.Blocks)-int64(stat.Bfree))*stat.Bsize+64<<10))
}

// free makes room.
func (d *disk) free(t *testing.T) {
	t.Helper()
	if d.mounted {
		d.resize(t, "8g")
	} else {
		d.limit(t, unix.RLIM_INFINITY)
	}
}

func (d *disk) resize(t *testing.T, size string) {
	t.Helper()
	require.NoError(t, syscall.Mount("tmpfs", d.dir, "tmpfs", syscall.MS_REMOUNT, "size="+size))
}

func (d *disk) limit(t *testing.T, length uint64) {
	t.Helper()
	for _, pid := range d.writers() {
		err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: length, Max: unix.RLIM_INFINITY}, nil)
		if !errors.Is(err, unix.ESRCH) { // gone meanwhile
			require.NoError(t, err)
		}
	}
}

// fillBusDisk: audit.log is refused rather than acknowledged and lost, changes
// go on and wait in the outboxes. JetStream that found its disk full may refuse
// until its server is started anew (docs/operators.md); nothing else needs hands.
func fillBusDisk(t *testing.T, v *visitor) {
	var w *world
	d := newDisk(t, func() []int { return []int{w.Bus.PID()} })
	w = newWorld(t, layout{store: filepath.Join(d.dir, "jetstream")})
	v.world, v.load = w, startLoad(t, w)
	for range 2 {
		v.load.progress(t, 100, 5)
		refused := v.load.refusals("audit.log")
		d.fill(t)
		require.Eventually(t, func() bool { return v.load.refusals("audit.log") >= refused+8 }, patience, time.Millisecond,
			"a full disk refuses: %v", v.load)
		v.load.progress(t, 0, 10)
		require.Eventually(t, func() bool { return metric(t, w.Processes["rbac"], "buildify_outbox_failures_total") > 0 }, stack.Timeout, 50*time.Millisecond)
		d.free(t)
		if !v.load.goesOn(5 * time.Second) {
			t.Log("JetStream goes on refusing: its server is started anew")
			w.Bus.Kill()
			v.killed++
			w.Bus.Start()
		}
		v.load.progress(t, 100, 5)
	}
}

// fillDatabaseDisk: changes are refused, audit.log goes on into the stream; when
// there is room again the trail takes all of it. PostgreSQL that ended, because
// it could not even write its log, is started by whoever runs it.
func fillDatabaseDisk(t *testing.T, v *visitor) {
	var w *world
	d := newDisk(t, func() []int { return w.postgres.PIDs() })
	w = newWorld(t, layout{data: filepath.Join(d.dir, "postgres")})
	v.world, v.load = w, startLoad(t, w)
	for range 2 {
		v.load.progress(t, 100, 5)
		lagging := func() bool { return logged(w.Processes["audit"], "not stored") }
		d.fill(t)
		require.Eventually(t, lagging, patience, 10*time.Millisecond, "the trail cannot be written: %v", v.load)
		v.load.progress(t, 100, 0)
		require.Eventually(t, func() bool { return metric(t, w.Processes["audit"], "buildify_audit_lag_messages") > 0 }, stack.Timeout, 50*time.Millisecond)
		d.free(t)
		if !w.postgres.Running() {
			t.Log("PostgreSQL had ended: it is started")
			w.postgres.Start()
		}
		v.load.progress(t, 100, 5)
	}
}

// refusals is how often a call was refused.
func (l *load) refusals(what string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for refused, times := range l.errors {
		if strings.HasPrefix(refused, what+" ") {
			n += times
		}
	}
	return n
}

// goesOn reports whether events are acknowledged again within a while.
func (l *load) goesOn(within time.Duration) bool {
	acked := l.acked.Load() + 20
	for end := time.Now().Add(within); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if l.acked.Load() >= acked {
			return true
		}
	}
	return false
}
