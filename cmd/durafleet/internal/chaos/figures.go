package chaos

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// The figures of a process. Those that the system does not tell are missing.
const (
	figureHeap       = "heap"       // bytes of live objects after a collection
	figureResident   = "resident"   // bytes of memory, after what is free was given back
	figureGoroutines = "goroutines" // how many
	figureFiles      = "files"      // open files, sockets among them
)

// ownFigures looks at this process. It collects garbage first: what is left is what is held.
func ownFigures() map[string]int64 {
	debug.FreeOSMemory()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	figures := map[string]int64{
		figureHeap: int64(memory.HeapAlloc), figureGoroutines: int64(runtime.NumGoroutine()),
	}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		figures[figureFiles] = int64(len(entries)) - 1 // the directory itself is open, too
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		if kilobytes, found := residentOf(string(status)); found {
			figures[figureResident] = kilobytes << 10
		}
	}
	return figures
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
