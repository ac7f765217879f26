//go:build unix && !linux

package azurite

import "syscall"

// processAttributes puts the child into a process group of its own.
func processAttributes(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
