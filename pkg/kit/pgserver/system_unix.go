//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package pgserver

import (
	"os"
	"syscall"
)

const supported = true

func (a account) processAttributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a.dropped {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// tryLock takes an exclusive lock that the kernel releases when the file is closed or we die.
func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

func owner(info os.FileInfo) (uid, gid int) {
	stat := info.Sys().(*syscall.Stat_t) //nolint:errcheck // what the os package gives on Unix
	return int(stat.Uid), int(stat.Gid)
}

// unlock releases the lock at once. Closing the file alone would not while a process that is
// being forked has its copy of it, until it executes its program.
func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
