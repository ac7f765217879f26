//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package azurite

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks the file for this process, until it is closed or the process ends. It reports
// whether another process has it; any other failure means that the file system has no locks.
func tryLock(file *os.File) (busy bool) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR)
}
