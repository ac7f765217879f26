package wire

import "fmt"

const (
	fnvOffset = 2166136261
	fnvPrime  = 16777619
)

// Hash returns the 32-bit FNV-1a hash of the UTF-8 bytes of an instance ID. The raw ID counts:
// no case folding, no key escaping.
func Hash(instanceID string) uint32 {
	h := uint32(fnvOffset)
	for i := range len(instanceID) {
		h ^= uint32(instanceID[i])
		h *= fnvPrime
	}
	return h
}

// PartitionOf returns the index of the control queue of an instance among count queues. It
// returns 0 when count is less than 2.
func PartitionOf(instanceID string, count int) int {
	if count < 2 {
		return 0
	}
	return int(uint64(Hash(instanceID)) % uint64(count))
}

// AppLeaseID returns the lease ID, in GUID form, under which all workers of an application hold
// the app lease.
func AppLeaseID(appName string) string {
	return fmt.Sprintf("%08x-0000-0000-0000-000000000000", Hash(appName))
}
