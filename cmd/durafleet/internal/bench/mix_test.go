package bench

import (
	"testing"

	"github.com/durafleet/durafleet/internal/storage"
)

// The fixed mixes: what an instance costs at least, and how many rows its history has.
func TestMixes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scenario                  string
		count                     int
		chains, steps             int
		transactions, rows, blobs int
	}{
		{"hello5", 300, 300, 11, 5, 24, 0},
		{"local5", 300, 300, 7, 1, 24, 0},
		{"one", 10, 10, 7, 1, 8, 0},
		{"empty", 10, 10, 7, 1, 4, 0},
		{"long-history", 500, 1, 506, 500, 2004, 0},
		{"fanout", 1, 1, 7, 1, 8, 0},
		{"fanout", 46, 1, 7, 1, 98, 0},
		{"fanout", 47, 1, 8, 2, 100, 0},
		{"fanout", 48, 1, 8, 2, 104, 0},
		{"fanout", 95, 1, 9, 3, 198, 0},
		{"fanout", 100, 1, 9, 3, 210, 0},
		{"fanout", 1000, 1, 27, 21, 2046, 0},
		{"events", 1, 1, 4, 1, 3, 0},
		{"events", 1000, 32, 66, 1, 34, 0},
		{"event", 7, 7, 12, 2, 7, 0},
		{"continue", 7, 7, 37, 7, 47, 0},
		{"children", 7, 7, 26, 7, 32, 0},
		{"payload", 7, 7, 11, 2, 12, 3},
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			t.Parallel()
			m := find(tt.scenario).mix(tt.count)
			rows, kinds, messages := 0, storage.Counts{}, 0
			for _, s := range m.steps {
				kinds[s.kind]++
				switch s.kind {
				case storage.TableTransact:
					rows += s.n
					if s.n >= storage.MaxTransaction {
						t.Errorf("a transaction has %d rows and the sentinel", s.n)
					}
				case storage.QueueGet:
					messages += s.n
				}
			}
			if m.chains != tt.chains || len(m.steps) != tt.steps || rows != tt.rows ||
				kinds[storage.TableTransact] != int64(tt.transactions) || kinds[storage.BlobPut] != int64(tt.blobs) {
				t.Errorf("%d steps, %d rows: %s", len(m.steps), rows, m.text())
			}
			if puts := kinds[storage.QueuePut]; puts != int64(messages) || puts != kinds[storage.QueueDelete] {
				t.Errorf("%d puts, %d messages taken, %d deletes", puts, messages, kinds[storage.QueueDelete])
			}
		})
	}
}
