//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package pgserver

import (
	"errors"
	"os"
	"syscall"
)

const supported = false

func (account) processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func tryLock(*os.File) error { return errors.ErrUnsupported }

func owner(os.FileInfo) (uid, gid int) { return -1, -1 }

func unlock(*os.File) {}
