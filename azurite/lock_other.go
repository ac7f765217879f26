//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package azurite

import "os"

// tryLock locks nothing on this system: processes that install at once all download, and the
// first to finish wins.
func tryLock(*os.File) (busy bool) { return false }
