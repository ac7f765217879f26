//go:build !unix

package child

import "errors"

// CanFreeze says whether processes can be frozen on this system.
const CanFreeze = false

// terminate asks the process to end in order: it watches its standard input.
func (p *Process) terminate() { p.Release() }

var errCannotFreeze = errors.New("this system cannot freeze processes")

// Freeze stops the process in the middle of whatever it does, until Thaw. It fails where CanFreeze
// is false.
func (p *Process) Freeze() error { return errCannotFreeze }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return errCannotFreeze }
