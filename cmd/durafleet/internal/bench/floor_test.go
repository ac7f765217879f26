package bench

import (
	"testing"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
)

// The fixed mixes: what an instance costs at least, and how many rows its history has.
func TestMixes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scenario     string
		count        int
		chains       int
		steps, rows  int
		transactions int
	}{
		{"hello5", 300, 300, 11, 24, 5},
		{"one", 10, 10, 7, 8, 1},
		{"empty", 10, 10, 7, 4, 1},
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			t.Parallel()
			m := find(tt.scenario).mix(tt.count)
			rows, transactions := 0, 0
			for _, s := range m.steps {
				if s.kind == storage.TableTransact {
					rows += s.n
					transactions++
				}
			}
			if m.chains != tt.chains || len(m.steps) != tt.steps || rows != tt.rows || transactions != tt.transactions {
				t.Errorf("%d chains of %d steps with %d rows in %d transactions: %s", m.chains, len(m.steps), rows, transactions, m.text())
			}
		})
	}
}

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
			work := s.mix(5)
			if _, err := f.run(t.Context(), work, 2); err != nil {
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
