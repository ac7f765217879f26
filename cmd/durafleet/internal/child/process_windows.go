package child

import "syscall"

// processAttributes puts the child into a process group of its own, so that an interrupt typed at
// the terminal reaches the parent alone.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
