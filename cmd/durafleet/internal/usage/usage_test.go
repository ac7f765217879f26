package usage

import (
	"runtime"
	"testing"
)

func TestResidentOf(t *testing.T) {
	t.Parallel()
	if got, found := residentOf("VmPeak:\t  99 kB\nVmRSS:\t   1234 kB\n"); got != 1234 || !found {
		t.Errorf("got %d, %t", got, found)
	}
	if _, found := residentOf("VmPeak:\t  99 kB\n"); found {
		t.Error("found what is not there")
	}
}

func TestOwnProcess(t *testing.T) {
	t.Parallel()
	if bytes, found := Resident(); runtime.GOOS == "linux" && (!found || bytes < 1<<20) {
		t.Errorf("the process uses %d bytes, %t", bytes, found)
	}
	if runtime.GOOS == "linux" && CPU() <= 0 {
		t.Error("the process has used no processor")
	}
}
