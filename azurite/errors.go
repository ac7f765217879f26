package azurite

import "errors"

// What can be missing on a machine. Launch and Install return errors that match these.
var (
	// ErrNoNode: there is no node program in PATH.
	ErrNoNode = errors.New("azurite: Node.js is not installed (no node program in PATH)")
	// ErrNodeTooOld: the version of Node.js cannot run Azurite.
	ErrNodeTooOld = errors.New("azurite: Node.js is too old")
	// ErrNoNpm: Azurite is not installed yet and there is no npm program in PATH to do it.
	ErrNoNpm = errors.New("azurite: npm is not installed (no npm program in PATH), it is needed once to install Azurite")
	// ErrInstall: npm was run and did not deliver. The error's text has the end of its output.
	ErrInstall = errors.New("azurite: installation failed")
)

// ErrStart reports that the process ended before it was ready, or was not ready in time. The
// error's text has the end of its output.
var ErrStart = errors.New("azurite: start failed")

// missing reports whether err says that this machine cannot run Azurite, which is no fault of the
// code under test.
func missing(err error) bool {
	for _, target := range []error{ErrNoNode, ErrNodeTooOld, ErrNoNpm, ErrInstall} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
