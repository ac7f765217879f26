package wire_test

import (
	"testing"

	"github.com/durafleet/durafleet/internal/wire"
)

// F04: partitions follow from the hash of the raw ID, for these as the .NET engine computes it.
func TestF04_Hash(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		id                string
		hash              uint32
		mod2, mod4, mod16 int
	}{
		{"a", 0xE40C292C, 0, 0, 12},
		{"b", 0xE70C2DE5, 1, 1, 5},
		{"abc", 0x1A47E90B, 1, 3, 11},
		{"ABC", 0x5C842F6B, 1, 3, 11},
		{"hello", 0x4F9F2CAB, 1, 3, 11},
		{"0", 0x350CA8AF, 1, 3, 15},
		{"instance1", 0xC8489B99, 1, 1, 9},
		{"instance-0001", 0x710ED3AA, 0, 2, 10},
		{"f71ac761454f41468d9923ac39e9bdbc", 0x6198F775, 1, 1, 5},
		{"00000000-0000-0000-0000-000000000000", 0xBE478ED1, 1, 1, 1},
		{"@counter@", 0xCE8D2EC3, 1, 3, 3},
		{"@counter@mykey", 0xCC6A5E00, 0, 0, 0},
		{"@Counter@mykey", 0xD26B0260, 0, 0, 0},
		{"@account@alice", 0xF1E79156, 0, 2, 6},
		{"parent1:0000", 0xB5FDD5DA, 0, 2, 10},
		{"b3c3e29336fd4c4bbe86bf61320cbd2d:0", 0x6B9E5DCF, 1, 3, 15},
		{"naïve", 0x999A082B, 1, 3, 11},
		{"日本語", 0x805F5CE7, 1, 3, 7},
		{"🚀rocket", 0x12FA3A1A, 0, 2, 10},
		{"a b c", 0x76F420AF, 1, 3, 15},
		{"MyOrchestration|2024-01-01", 0x3562B650, 0, 0, 0},
		{"order/1234", 0x8BB151D4, 0, 0, 4},
		{"a#b?c", 0x528BBA2F, 1, 3, 15},
		{"a^b", 0x31A0B97C, 0, 0, 12},
		{"tab\there", 0xA0C92419, 1, 1, 9},
		{"order-1001", 0x916F3D8C, 0, 0, 12},
		{"@cart@u42", 0x510FE668, 0, 0, 8},
		{"5d0c1f7e9b3a4c0f8e21aa64b7c3d9e2:4", 0x6E1554C7, 1, 3, 7},
	} {
		if got := wire.Hash(tt.id); got != tt.hash {
			t.Errorf("Hash(%q) = %#x, want %#x", tt.id, got, tt.hash)
		}
		for count, want := range map[int]int{0: 0, 1: 0, 2: tt.mod2, 4: tt.mod4, 16: tt.mod16} {
			if got := wire.PartitionOf(tt.id, count); got != want {
				t.Errorf("PartitionOf(%q, %d) = %d, want %d", tt.id, count, got, want)
			}
		}
	}
}

func TestAppLeaseID(t *testing.T) {
	t.Parallel()
	for app, want := range map[string]string{
		"":      "811c9dc5-0000-0000-0000-000000000000",
		"MyApp": "828293a6-0000-0000-0000-000000000000",
		"myapp": "1312a8a6-0000-0000-0000-000000000000",
	} {
		if got := wire.AppLeaseID(app); got != want {
			t.Errorf("AppLeaseID(%q) = %s, want %s", app, got, want)
		}
	}
}
