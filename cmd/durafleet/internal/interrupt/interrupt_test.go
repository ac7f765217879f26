//go:build unix

package interrupt_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/interrupt"
)

// The test signals itself, so it is alone in its package.
func TestContext(t *testing.T) {
	exited := make(chan struct{})
	ctx, release := interrupt.Context(t.Context(), func() { close(exited) })
	defer release()
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGTERM)
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), interrupt.ErrInterrupted) {
		t.Errorf("the cause is %v", context.Cause(ctx))
	}
	select {
	case <-exited:
		t.Error("the first signal ended the process")
	default:
	}
	signal(syscall.SIGINT)
	<-exited
}

func TestContext_Released(t *testing.T) {
	ctx, release := interrupt.Context(t.Context(), func() {})
	release()
	if errors.Is(context.Cause(ctx), interrupt.ErrInterrupted) {
		t.Error("a release looks like an interruption")
	}
}
