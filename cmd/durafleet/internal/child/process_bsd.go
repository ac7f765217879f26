//go:build unix && !linux

package child

import "syscall"

// processAttributes puts the child into a process group of its own, so that an interrupt typed at
// the terminal reaches the parent alone. A frozen child is woken by the kernel when the parent has
// died, because nobody is left to thaw its group.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
