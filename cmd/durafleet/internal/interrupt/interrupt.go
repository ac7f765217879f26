// Package interrupt is the one place in which the program deals with signals.
package interrupt

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/durafleet/durafleet/internal/run"
)

// ErrInterrupted is the cause of a context that ended because of a signal.
var ErrInterrupted = errors.New("interrupted")

// Context returns a context that ends at the first SIGINT or SIGTERM, for an orderly stop. At the
// second one it calls exit, for people who do not want to wait. release ends the watch.
func Context(parent context.Context, exit func()) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	var group run.Group
	group.Go(context.WithoutCancel(parent), "signals", func(context.Context) {
		for seen := 0; ; seen++ {
			select {
			case <-signals:
				if seen > 0 {
					exit()
				}
				cancel(ErrInterrupted)
			case <-done:
				return
			}
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		group.Wait()
		cancel(nil)
	}
}
