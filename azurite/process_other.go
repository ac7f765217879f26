//go:build !unix && !windows

package azurite

import "syscall"

// processAttributes knows nothing to ask for on this system; the child still watches its pipe.
func processAttributes(bool) *syscall.SysProcAttr { return nil }
