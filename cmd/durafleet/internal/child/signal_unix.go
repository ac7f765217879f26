//go:build unix

package child

import (
	"fmt"
	"syscall"
)

// CanFreeze says whether processes can be frozen on this system.
const CanFreeze = true

// terminate asks the process to end in order. It fails only if it has ended.
func (p *Process) terminate() { _ = p.command.Process.Signal(syscall.SIGTERM) }

// Freeze stops the process in the middle of whatever it does, until Thaw. It fails where CanFreeze
// is false.
func (p *Process) Freeze() error { return p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	if err := p.command.Process.Signal(s); err != nil {
		return fmt.Errorf("%v to worker %s: %w", s, p.id, err)
	}
	return nil
}
