package azurite

import "syscall"

// processAttributes puts the child into a process group of its own and has the kernel signal it
// when the thread that started it ends. Data on disk is worth a signal that can be handled.
func processAttributes(persistent bool) *syscall.SysProcAttr {
	signal := syscall.SIGKILL
	if persistent {
		signal = syscall.SIGTERM
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: signal}
}
