package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is a process that ends with ours. It is forked by a goroutine that stays locked to its
// thread until the child has ended: the kernel's parent-death signal fires when the *thread*
// that forked dies, and Go ends threads as it likes.
type child struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // written before exited closes
}

func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.exited)
		}
	}()
	return c, <-started
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// signal ignores that the child may have ended: its end is seen through exited.
func (c *child) signal(sig os.Signal) { _ = c.cmd.Process.Signal(sig) }

// outcome says how the child ended; call it only after that.
func (c *child) outcome() string {
	if c.err == nil {
		return "exit status 0"
	}
	var exit interface{ ExitCode() int }
	if errors.As(c.err, &exit) && exit.ExitCode() >= 0 {
		return "exit status " + strconv.Itoa(exit.ExitCode())
	}
	return c.err.Error()
}

// command prepares a PostgreSQL program: as the account, in its own session so that a Ctrl-C in
// the terminal reaches us and not it, with an environment that no variable of ours can disturb.
// death is the signal it gets when we die (Linux only).
func (a account) command(path string, args []string, death syscall.Signal) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = string(filepath.Separator)
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = a.processAttributes()
	setDeathSignal(cmd.SysProcAttr, death)
	return cmd
}

// output runs a short-lived PostgreSQL program and returns what it printed.
func (a account) output(ctx context.Context, path string, args ...string) (string, error) {
	var out strings.Builder
	cmd := a.command(path, args, syscall.SIGKILL)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // its own children may outlive it and keep the pipe open
	c, err := startChild(cmd)
	if err != nil {
		return "", err
	}
	select {
	case <-c.exited:
	case <-ctx.Done():
		c.signal(syscall.SIGKILL)
		<-c.exited
		return "", context.Cause(ctx)
	}
	if c.err != nil {
		return out.String(), fmt.Errorf("%s: %s\n%s", filepath.Base(path), c.outcome(), strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}
