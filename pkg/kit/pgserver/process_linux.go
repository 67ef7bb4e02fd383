package pgserver

import (
	"os"
	"strconv"
	"syscall"
)

const deathSignal = true

func setDeathSignal(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }

// runsOn reports whether pid is a live server of the data directory: postgres makes it its
// working directory. A zombie has none, so it counts as gone.
func runsOn(pid int, data string) bool {
	cwd, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil {
		return false
	}
	dir, err := os.Stat(data)
	return err == nil && os.SameFile(cwd, dir)
}
