package orchestration

import (
	"context"
	"log/slog"
)

// replayHandler drops records while the execution is replayed.
type replayHandler struct {
	slog.Handler
	x *Execution
}

// Enabled implements slog.Handler; it is false during replay.
func (h *replayHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return !h.x.replaying && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *replayHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &replayHandler{h.Handler.WithAttrs(attrs), h.x}
}

// WithGroup implements slog.Handler.
func (h *replayHandler) WithGroup(name string) slog.Handler {
	return &replayHandler{h.Handler.WithGroup(name), h.x}
}
