//go:build unix

package usage

import (
	"syscall"
	"time"
)

// CPU returns for how long the process has used processors, for itself and in the system.
func CPU() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0 // cannot be: the arguments are constant
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
