//go:build !linux

package chaos

import "testing"

func fillBusDisk(t *testing.T, _ *visitor)      { t.Skip("fills disks on Linux only") }
func fillDatabaseDisk(t *testing.T, _ *visitor) { t.Skip("fills disks on Linux only") }
