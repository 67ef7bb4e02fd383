//go:build !linux

package pgserver

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

const deathSignal = false

// There is no parent-death signal here: an orphan is stopped by the next Start.
func setDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}

// runsOn reports whether pid is a live server of the data directory: it is on its command line.
func runsOn(pid int, data string) bool {
	out, err := exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "-D "+data+" ")
}
