package wire

import "time"

// Partition is a row of the Partitions table. Its row key is the control queue's name.
type Partition struct {
	ID string
	// CurrentOwner and NextOwner are worker IDs, empty if there is none.
	CurrentOwner string
	NextOwner    string
	// The times are zero when they were never set.
	OwnedSince  time.Time
	LastRenewal time.Time
	ExpiresAt   time.Time
	Draining    bool
}

// EncodePartition returns the columns of a partition row. They are to replace the stored row, so
// that what is empty vanishes.
func EncodePartition(p Partition) Columns {
	c := Columns{"IsDraining": p.Draining}
	for name, owner := range map[string]string{"CurrentOwner": p.CurrentOwner, "NextOwner": p.NextOwner} {
		if owner != "" {
			c[name] = owner
		}
	}
	for name, t := range map[string]time.Time{
		"OwnedSince": p.OwnedSince, "LastRenewal": p.LastRenewal, "ExpiresAt": p.ExpiresAt,
	} {
		if !t.IsZero() {
			c[name] = TableTime(t)
		}
	}
	return c
}

// DecodePartition reads a partition row. Column types have to be exact.
func DecodePartition(rowKey string, c Columns) (Partition, error) {
	s := &rowSource{columns: c}
	p := Partition{
		ID:           rowKey,
		CurrentOwner: word(s, "CurrentOwner"),
		NextOwner:    word(s, "NextOwner"),
		OwnedSince:   moment(s, "OwnedSince"),
		LastRenewal:  moment(s, "LastRenewal"),
		ExpiresAt:    moment(s, "ExpiresAt"),
		Draining:     s.flag("IsDraining"),
	}
	if s.err != nil {
		return Partition{}, s.err
	}
	return p, nil
}
