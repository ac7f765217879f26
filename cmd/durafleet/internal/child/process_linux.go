package child

import "syscall"

// processAttributes puts the child into a process group of its own, so that an interrupt typed at
// the terminal reaches the parent alone, and has the kernel kill it, frozen or not, when the parent
// has died.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
