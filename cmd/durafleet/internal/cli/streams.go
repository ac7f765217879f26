package cli

import (
	"io"
	"os"
)

// Streams are what the program reads, writes and is told by its environment.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// LookupEnv is os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Exit ends the process at once.
	Exit func(code int)
}

// isTerminal reports whether a stream is an interactive one. Devices that are none, such as
// /dev/null, count too: whoever asks there gets no answer, which is a refusal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
