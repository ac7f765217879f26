package partition

import (
	"context"
	"time"
)

// Store holds the leases of a task hub. All methods may be called concurrently.
type Store interface {
	// List reads all leases. It is one consistent read for each row, not for all of them together.
	List(ctx context.Context) (Listing, error)
	// Replace writes the whole row if its Version is still the stored one, and reports whether it
	// did. Losing the race, or a row that is gone, is a result and no error. After an error the row
	// may have been written nevertheless: only a List can tell. Replace is therefore not repeated.
	Replace(ctx context.Context, lease Lease) (bool, error)
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
