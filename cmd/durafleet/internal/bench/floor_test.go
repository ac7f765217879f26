package bench

import (
	"testing"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
)

// Every mix can be carried out, and leaves no message behind.
func TestFloor(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		if s.mix == nil {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			counts := &storage.Meter{}
			account := storage.WithHook(memory.New().Account(), counts.Hook)
			f, err := newFloor(t.Context(), account, "Bench")
			if err != nil {
				t.Fatal(err)
			}
			before := counts.Counts()
			work := s.mix(100)
			if _, err := f.run(t.Context(), work, 1); err != nil {
				t.Fatal(err)
			}
			grown := counts.Counts().Since(before)
			delete(grown, storage.IdlePoll)
			if want := int64(work.chains * len(work.steps)); grown.Total() != want {
				t.Errorf("%d requests, want %d: %s", grown.Total(), want, countsText(grown))
			}
			if left, err := account.Queues.Count(t.Context(), f.queue); err != nil || left != 0 {
				t.Errorf("%d messages are left, %v", left, err)
			}
			if err := f.close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
