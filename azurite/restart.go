package azurite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// Relaunch starts a server like this one, which has to have ended, on the same ports and, if it
// has a Location, with the data that is there. A server that was stopped has saved everything; one
// that was killed has saved what AwaitSaved waited for.
func (s *Server) Relaunch(ctx context.Context) (*Server, error) {
	select {
	case <-s.done:
	default:
		return nil, fmt.Errorf("%w: the server to relaunch, process %d, has not ended", ErrStart, s.PID())
	}
	again := *s.options
	for _, service := range []struct {
		name string
		port *int
	}{{"Blob", &again.BlobPort}, {"Queue", &again.QueuePort}, {"Table", &again.TablePort}} {
		port, err := portOf(s.output.url(service.name))
		if err != nil {
			return nil, err
		}
		*service.port = port
	}
	return Launch(ctx, &again)
}

func portOf(text string) (int, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return 0, fmt.Errorf("azurite: where the server listened: %w", err)
	}
	port, err := strconv.Atoi(parsed.Port())
	if err != nil {
		return 0, fmt.Errorf("azurite: where the server listened, %q: %w", text, err)
	}
	return port, nil
}

const (
	// saveInterval is how often Azurite writes down what has changed. Between two of these times a
	// Kill loses what it has acknowledged.
	saveInterval = 5 * time.Second
	// saveQuiet is how long nothing may have been written before everything has been.
	saveQuiet = saveInterval + 2*time.Second
	savePause = 200 * time.Millisecond
	// savePatience is how long an answer may take that proves that Azurite's timers run.
	savePatience = time.Second
)

// AwaitSaved waits until everything that the server has acknowledged so far is in its Location,
// so that even a Kill loses nothing. Nobody may change anything meanwhile, or it waits for ever.
// It takes at least 7 s.
func (s *Server) AwaitSaved(ctx context.Context) error {
	if s.options.Location == "" {
		return errors.New("azurite: a server without a Location saves nothing")
	}
	seen, err := lastWrite(s.options.Location)
	if err != nil {
		return err
	}
	since := time.Now()
	for time.Since(since) < saveQuiet {
		if !run.Sleep(ctx, savePause) {
			return fmt.Errorf("azurite: wait until it has saved: %w", context.Cause(ctx))
		}
		if err := s.alive(); err != nil {
			return err
		}
		latest, err := lastWrite(s.options.Location)
		if err != nil {
			return err
		}
		// A process that is too busy to answer is too busy to save: that is not the quiet we wait for.
		if latest != seen || !s.answers(ctx) {
			seen, since = latest, time.Now()
		}
	}
	return nil
}

// lastWrite returns when a file directly in dir was last written or renamed into place, and how
// many there are: a save that is under way has a file of its own.
func lastWrite(dir string) (state [2]int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return state, fmt.Errorf("azurite: look at what is saved: %w", err)
	}
	state[1] = int64(len(entries))
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(dir, entry.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // renamed since
		}
		if err != nil {
			return state, fmt.Errorf("azurite: look at what is saved: %w", err)
		}
		state[0] = max(state[0], info.ModTime().UnixNano())
	}
	return state, nil
}

// answers reports whether the server answers at once, if only with a refusal.
func (s *Server) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, savePatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.BlobURL(), http.NoBody)
	if err != nil {
		return false
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil
}
