package azurite

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// Options configures Install, Launch and StartPrivate. The zero value of every field means its
// default.
type Options struct {
	// CacheDir is the directory below which Azurite is installed. Default: durafleet in the
	// user's cache directory.
	CacheDir string
	// Location is the directory in which the server keeps its data; it is created if need be.
	// Default: data is kept in memory and gone with the process.
	Location string
	// BlobPort, QueuePort and TablePort are ports of 127.0.0.1. Default: free ones.
	BlobPort  int
	QueuePort int
	TablePort int
	// Progress is told in short sentences what takes time. Default: nobody is told.
	Progress func(string)
	// Logger gets Azurite's output at debug level. Default: discard.
	Logger *slog.Logger
}

// withDefaults returns a copy with defaults filled in.
func (o *Options) withDefaults() (*Options, error) {
	filled := Options{}
	if o != nil {
		filled = *o
	}
	if filled.Progress == nil {
		filled.Progress = func(string) {}
	}
	if filled.Logger == nil {
		filled.Logger = slog.New(slog.DiscardHandler)
	}
	for _, port := range []struct {
		name  string
		value int
	}{
		{"BlobPort", filled.BlobPort},
		{"QueuePort", filled.QueuePort},
		{"TablePort", filled.TablePort},
	} {
		if port.value < 0 || port.value > 65535 {
			return nil, fmt.Errorf("azurite: %s is %d, must be 0 to 65535", port.name, port.value)
		}
	}
	if filled.CacheDir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("azurite: find a directory to install to (set Options.CacheDir to choose one): %w", err)
		}
		filled.CacheDir = filepath.Join(user, "durafleet")
	}
	for _, dir := range []*string{&filled.CacheDir, &filled.Location} {
		if *dir == "" {
			continue
		}
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return nil, fmt.Errorf("azurite: directory %s: %w", *dir, err)
		}
		*dir = absolute
	}
	return &filled, nil
}
