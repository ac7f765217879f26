package chaos

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/usage"
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
	if resident, found := usage.Resident(); found {
		figures[figureResident] = resident
	}
	return figures
}
