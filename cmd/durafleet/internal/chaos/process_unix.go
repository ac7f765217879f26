//go:build unix

package chaos

import (
	"fmt"
	"syscall"
)

// canFreeze says whether processes can be frozen on this system.
const canFreeze = true

// terminate asks the process to end in order. It fails only if it has ended.
func (m *member) terminate() { _ = m.command.Process.Signal(syscall.SIGTERM) }

// freeze stops the process in the middle of whatever it does, until thaw.
func (m *member) freeze() error { return m.signal(syscall.SIGSTOP) }

func (m *member) thaw() error { return m.signal(syscall.SIGCONT) }

func (m *member) signal(s syscall.Signal) error {
	if err := m.command.Process.Signal(s); err != nil {
		return fmt.Errorf("%v to worker %s: %w", s, m.id, err)
	}
	return nil
}
