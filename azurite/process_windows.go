package azurite

import "syscall"

// processAttributes puts the child into a process group of its own.
func processAttributes(bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
