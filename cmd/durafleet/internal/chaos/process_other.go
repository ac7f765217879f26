//go:build !unix

package chaos

import "errors"

// canFreeze says whether processes can be frozen on this system.
const canFreeze = false

// terminate asks the process to end in order: it watches its standard input.
func (m *member) terminate() { _ = m.stdin.Close() } // fails only if it was closed before

var errCannotFreeze = errors.New("this system cannot freeze processes")

func (m *member) freeze() error { return errCannotFreeze }

func (m *member) thaw() error { return errCannotFreeze }
