package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// Report is what a worker tells others about itself, as it is stored: one blob for each worker in a
// container of our own. Nothing depends on it. Members may be added, and none changes its meaning:
// versions meet in a fleet.
type Report struct {
	WorkerID   string            `json:"worker"`
	At         time.Time         `json:"at"`
	Started    time.Time         `json:"started"`
	Partitions []ReportPartition `json:"partitions,omitempty"`
	Stalls     map[string]int64  `json:"stalls,omitempty"`
	Unknown    []ReportName      `json:"unknown,omitempty"`
	Held       []ReportInstance  `json:"held,omitempty"`
	Running    []ReportActivity  `json:"running,omitempty"`
	Attempts   []ReportAttempt   `json:"attempts,omitempty"`
	PutBack    []ReportPutBack   `json:"putBack,omitempty"`
	WorkItems  ReportHolding     `json:"workItems,omitzero"`
	Activities int               `json:"activities"`
	Buffered   int               `json:"buffered"`
	Doorbell   string            `json:"doorbell,omitempty"`
	Rings      int64             `json:"rings,omitempty"`
	Cost       ReportCost        `json:"cost,omitzero"`
	// Application is the name of the worker's application, Standby says that another one processes the hub.
	Application string `json:"application,omitempty"`
	Standby     bool   `json:"standby,omitempty"`

	// Written is when the report, or the one before it, was stored, by the service's clock.
	Written time.Time `json:"-"`
}

// ReportPartition is a partition that the worker owns.
type ReportPartition struct {
	ID            string        `json:"id"`
	Since         time.Time     `json:"since"`
	LeaseAge      time.Duration `json:"leaseAge"`
	LastPolled    time.Time     `json:"polled,omitzero"`
	Draining      bool          `json:"draining,omitempty"`
	Messages      int           `json:"messages"`
	OldestMessage time.Time     `json:"oldest,omitzero"`
	Deliveries    int           `json:"deliveries,omitempty"`
	Sessions      int           `json:"sessions"`
}

// ReportName is a name that the worker does not know.
type ReportName struct {
	Kind     string    `json:"kind"`
	Name     string    `json:"name"`
	Count    int64     `json:"count"`
	Since    time.Time `json:"since"`
	LastSeen time.Time `json:"seen"`
	Messages int       `json:"messages,omitempty"`
	NextTry  time.Time `json:"next,omitzero"`
}

// ReportPutBack is a message that the worker has put back for a while.
type ReportPutBack struct {
	Queue      string    `json:"queue"`
	InstanceID string    `json:"instance,omitempty"`
	Kind       string    `json:"kind,omitempty"`
	Name       string    `json:"name,omitempty"`
	Reason     string    `json:"reason"`
	Until      time.Time `json:"until"`
	Deliveries int       `json:"deliveries,omitempty"`
	Sent       time.Time `json:"sent,omitzero"`
}

// ReportHolding is what the worker holds of a queue.
type ReportHolding struct {
	Messages      int       `json:"messages"`
	OldestMessage time.Time `json:"oldest,omitzero"`
	Deliveries    int       `json:"deliveries,omitempty"`
}

// ReportInstance is an instance that the worker holds.
type ReportInstance struct {
	InstanceID string    `json:"instance"`
	Reason     string    `json:"reason"`
	Since      time.Time `json:"since"`
	LastTried  time.Time `json:"tried"`
}

// ReportActivity is an activity that the worker runs.
type ReportActivity struct {
	Name        string    `json:"name"`
	InstanceID  string    `json:"instance"`
	ExecutionID string    `json:"execution"`
	TaskID      int32     `json:"task"`
	Since       time.Time `json:"since"`
}

// ReportAttempt is an attempt at a message that may be what makes workers crash; those before it, from the first on,
// ended with the death of a worker.
type ReportAttempt struct {
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	InstanceID string    `json:"instance"`
	Number     int       `json:"number"`
	Since      time.Time `json:"since"`
}

// ReportCost is how many storage requests were sent through what the worker sends its own through. Workers
// that share it have the same Counter.
type ReportCost struct {
	Counter  string           `json:"counter"`
	Since    time.Time        `json:"since"`
	Requests []ReportRequests `json:"requests"`
}

// ReportRequests is how many requests of one kind were sent for one cause, with the bytes of their bodies.
type ReportRequests struct {
	Kind     string `json:"kind"`
	Cause    string `json:"cause"`
	Count    int64  `json:"n"`
	Sent     int64  `json:"sent,omitempty"`
	Received int64  `json:"received,omitempty"`
}

// maxReport bounds what is read of a report.
const maxReport = 1 << 20

func reportBlob(workerID string) string { return wire.EscapeKey(workerID) + ".json" }

// PutReport stores a worker's report in place of its last one, in one request but for the first of
// a hub, which makes the container.
func (h *Hub) PutReport(ctx context.Context, r Report) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report of worker %s: %w", r.WorkerID, err)
	}
	container, name := h.Names.Workers(), reportBlob(r.WorkerID)
	err = h.Account.Blobs.PutBlob(ctx, container, name, data, false)
	if errors.Is(err, storage.ErrNotFound) {
		if err = h.Account.Blobs.CreateContainer(ctx, container); err == nil {
			err = h.Account.Blobs.PutBlob(ctx, container, name, data, false)
		}
	}
	if err != nil {
		return fmt.Errorf("store report of worker %s: %w", r.WorkerID, err)
	}
	return nil
}

// DeleteReport removes a worker's report. One that is not there is no error.
func (h *Hub) DeleteReport(ctx context.Context, workerID string) error {
	err := h.Account.Blobs.DeleteBlob(ctx, h.Names.Workers(), reportBlob(workerID))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("remove report of worker %s: %w", workerID, err)
	}
	return nil
}

// Reports returns the reports that can be read, in the order of their blobs' names. Those that
// vanish meanwhile, or that nobody of us wrote, are left out.
func (h *Hub) Reports(ctx context.Context) ([]Report, error) {
	names, err := h.Account.Blobs.ListBlobs(ctx, h.Names.Workers(), "")
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list worker reports: %w", err)
	}
	found := make([]*Report, len(names))
	err = h.each(ctx, len(names), func(ctx context.Context, i int) error {
		written, err := h.Account.Blobs.BlobTime(ctx, h.Names.Workers(), names[i])
		var data []byte
		if err == nil {
			data, err = h.Account.Blobs.GetBlob(ctx, h.Names.Workers(), names[i], maxReport)
		}
		if errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrTooLarge) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read worker report %s: %w", names[i], err)
		}
		r := &Report{Written: written}
		if json.Unmarshal(data, r) == nil && r.WorkerID != "" {
			found[i] = r
		}
		return nil
	})
	var reports []Report
	for _, r := range found {
		if r != nil {
			reports = append(reports, *r)
		}
	}
	return reports, err
}
