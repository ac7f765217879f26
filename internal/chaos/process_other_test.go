//go:build unix && !linux

package chaos_test

import "syscall"

// childAttributes puts the child into a group of its own; it still watches its pipe.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
