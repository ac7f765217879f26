package partition

import (
	"context"
	"time"
)

// Store holds the leases of a task hub. All methods may be called concurrently.
type Store interface {
	// List reads all leases. It is one consistent read for each row, not for all of them together.
	List(ctx context.Context) (Listing, error)
	// Replace writes whole rows, all or none of them, if the Version of each is still the stored
	// one, and returns their new versions in the same order; nil if one of them has changed or is
	// gone. That is a result and no error. After an error the rows may have been written
	// nevertheless: only a List can tell. Replace is therefore not repeated.
	Replace(ctx context.Context, leases ...Lease) (versions []string, err error)
}

// Listing is the answer to a List.
type Listing struct {
	// Leases are in key order.
	Leases []Lease
	// Date is the service's clock when it answered, rounded down.
	Date time.Time
	// Unreadable says which rows could not be understood, and why. Nobody can own them.
	Unreadable []error
}
