package bench

import "testing"

func TestShared(t *testing.T) {
	t.Parallel()
	type owners = map[string]int
	for _, tt := range []struct {
		name                string
		owned               owners
		partitions, workers int
		want                bool
	}{
		{"one has all", owners{"a": 4}, 4, 1, true},
		{"one has not all", owners{"a": 3}, 4, 1, false},
		{"nobody has one", owners{"a": 3, "": 1}, 4, 1, false},
		{"even", owners{"a": 2, "b": 2}, 4, 2, true},
		{"uneven", owners{"a": 3, "b": 1}, 4, 2, false},
		{"as even as can be", owners{"a": 2, "b": 1, "c": 1}, 4, 3, true},
		{"one has none", owners{"a": 2, "b": 2}, 4, 3, false},
		{"more workers", owners{"a": 1, "b": 1}, 2, 5, true},
		{"nothing yet", owners{}, 4, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := shared(tt.owned, tt.partitions, tt.workers); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
