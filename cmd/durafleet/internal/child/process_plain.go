//go:build !unix && !windows

package child

import "syscall"

// processAttributes knows nothing to ask for on this system; the child still watches its pipe.
func processAttributes() *syscall.SysProcAttr { return nil }
