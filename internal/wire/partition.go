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
	// Doorbell is how the owner can be woken, empty if it cannot. It is our own column: a .NET worker that
	// writes the row drops it.
	Doorbell string
}

// DoorbellColumn is the column of Partition.Doorbell.
const DoorbellColumn = "DurafleetDoorbell"

// EncodePartition returns the columns of a partition row. They are to replace the stored row, so
// that what is empty vanishes.
func EncodePartition(p Partition) Columns {
	c := Columns{"IsDraining": p.Draining}
	for name, text := range map[string]string{
		"CurrentOwner": p.CurrentOwner, "NextOwner": p.NextOwner, DoorbellColumn: p.Doorbell,
	} {
		if text != "" {
			c[name] = text
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

// DecodePartition reads a partition row. Column types have to be exact, but for that of Doorbell, on which
// nothing depends.
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
	p.Doorbell, _ = c[DoorbellColumn].(string)
	return p, nil
}
