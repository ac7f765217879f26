// Package usage says what this process has used of its machine.
package usage

import (
	"os"
	"strconv"
	"strings"
)

// Resident returns the bytes of memory that the process has in use. It is not found on systems that
// do not tell.
func Resident() (bytes int64, found bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	kilobytes, found := residentOf(string(status))
	return kilobytes << 10, found
}

// residentOf finds the resident set in the text of /proc/self/status, in kilobytes.
func residentOf(status string) (kilobytes int64, found bool) {
	for row := range strings.Lines(status) {
		rest, is := strings.CutPrefix(row, "VmRSS:")
		if !is {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		return kilobytes, err == nil
	}
	return 0, false
}
