package usage

import (
	"syscall"
	"time"
)

// CPU returns for how long the process has used processors, for itself and in the system.
func CPU() time.Duration {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0 // cannot be: it is a constant
	}
	var created, ended, system, own syscall.Filetime
	if err := syscall.GetProcessTimes(process, &created, &ended, &system, &own); err != nil {
		return 0 // cannot be either
	}
	return span(system) + span(own)
}

// span returns a duration that the system gives in units of 100 ns.
func span(t syscall.Filetime) time.Duration {
	return time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime)) * 100
}
