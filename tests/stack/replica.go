package stack

import (
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// Replica starts one more process of a service that runs already.
func (s *Stack) Replica(t testing.TB, service string) *Process {
	t.Helper()
	first := s.Processes[service]
	p := &Process{t: t, path: first.path, args: slices.Clone(first.args), env: first.env, ready: filepath.Join(t.TempDir(), "ready.json")}
	p.Start()
	t.Cleanup(p.Stop)
	return p
}

// Terminate ends the process with SIGTERM, as Stop does, while other things are
// broken too: it need not exit cleanly.
func (p *Process) Terminate() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // already gone is as good
	select {
	case <-p.exited:
	case <-time.After(Timeout):
		p.Kill()
	}
}

// Freeze stops the process where it is until Thaw, as a machine that is
// suspended or starved does.
func (p *Process) Freeze() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) } // already gone is as good

// Thaw lets a frozen process go on, as if no time had passed.
func (p *Process) Thaw() { _ = p.cmd.Process.Signal(syscall.SIGCONT) } // already gone is as good
