package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/partition"
	"github.com/durafleet/durafleet/partition/tablelease"
	"github.com/durafleet/durafleet/taskhub"
)

// hubView is what is known about a hub at one moment.
type hubView struct {
	Hub        string          `json:"hub"`
	Partitions []partitionView `json:"partitions"`
	WorkItems  queueView       `json:"workItems"`
	// Warnings say what keeps the hub from working.
	Warnings []string `json:"warnings"`
}

// partitionView is one partition and its control queue.
type partitionView struct {
	ID        string `json:"id"`
	State     string `json:"state"`
	Owner     string `json:"owner,omitempty"`
	NextOwner string `json:"nextOwner,omitempty"`
	Draining  bool   `json:"draining"`
	// ExpiresIn is the time that is left of the lease, in seconds.
	ExpiresIn float64   `json:"expiresIn,omitempty"`
	Queue     queueView `json:"queue"`
}

// queueView is how full a queue is.
type queueView struct {
	// Messages is approximate, and includes messages that are being worked on or not due yet.
	Messages int `json:"messages"`
	// Visible is how many messages wait to be taken; a peek sees no more than 32.
	Visible int `json:"visible"`
	// OldestSeconds is the age of the first of them.
	OldestSeconds float64 `json:"oldestSeconds,omitempty"`
}

// The states of a partition.
const (
	stateOwned    = "owned"
	stateDraining = "draining"
	stateReserved = "reserved"
	stateExpired  = "expired"
	stateFree     = "free"
)

func (p *program) hubShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show who owns the partitions of a task hub and how full its queues are",
		Args:  p.named,
		RunE: func(c *cobra.Command, _ []string) error {
			hub, err := p.open(c.Context())
			if err != nil {
				return err
			}
			view, err := viewHub(c.Context(), hub)
			if err != nil {
				return err
			}
			return p.print(view, func() { p.hubTable(view) })
		},
	}
}

// viewHub reads the state of a hub. The parts are read one after the other.
func viewHub(ctx context.Context, hub *taskhub.Hub) (*hubView, error) {
	account, names := hub.Store().Account, hub.Store().Names
	listing, err := tablelease.New(account.Tables, names.PartitionsTable()).List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the partitions of task hub %s: %w", hub.Name(), err)
	}
	view := &hubView{Hub: hub.Name(), Partitions: []partitionView{}, Warnings: []string{}}
	for _, unreadable := range listing.Unreadable {
		view.Warnings = append(view.Warnings, unreadable.Error())
	}
	for _, lease := range listing.Leases {
		partition := viewLease(lease, listing.Date)
		if partition.Queue, err = viewQueue(ctx, account.Queues, lease.ID, listing.Date); err != nil {
			return nil, fmt.Errorf("read queue %s: %w", lease.ID, err)
		}
		if partition.State == stateFree || partition.State == stateExpired {
			view.Warnings = append(view.Warnings, fmt.Sprintf("nobody owns partition %s: its instances stand still until a worker runs", lease.ID))
		}
		view.Partitions = append(view.Partitions, partition)
	}
	if view.WorkItems, err = viewQueue(ctx, account.Queues, names.WorkItemQueue(), listing.Date); err != nil {
		return nil, fmt.Errorf("read queue %s: %w", names.WorkItemQueue(), err)
	}
	return view, nil
}

func viewLease(lease partition.Lease, now time.Time) partitionView {
	view := partitionView{ID: lease.ID, Owner: lease.CurrentOwner, NextOwner: lease.NextOwner, Draining: lease.Draining}
	switch {
	case lease.CurrentOwner == "" && lease.NextOwner == "":
		view.State = stateFree
		return view
	case lease.Expired(now):
		view.State = stateExpired
	case lease.CurrentOwner == "":
		view.State = stateReserved
	case lease.Draining:
		view.State = stateDraining
	default:
		view.State = stateOwned
	}
	if !lease.ExpiresAt.IsZero() {
		view.ExpiresIn = lease.ExpiresAt.Sub(now).Round(100 * time.Millisecond).Seconds()
	}
	return view
}

func viewQueue(ctx context.Context, queues storage.Queues, name string, now time.Time) (queueView, error) {
	count, err := queues.Count(ctx, name)
	if err != nil {
		return queueView{}, err
	}
	head, err := queues.Peek(ctx, name, storage.MaxMessagesPerGet)
	if err != nil {
		return queueView{}, err
	}
	view := queueView{Messages: count, Visible: len(head)}
	if len(head) > 0 {
		view.OldestSeconds = max(0, now.Sub(head[0].InsertedOn).Seconds())
	}
	return view, nil
}

func (p *program) hubTable(view *hubView) {
	fmt.Fprintf(p.Out, "Task hub %s, %d partitions\n\n", view.Hub, len(view.Partitions))
	var rows [][]string
	for i := range view.Partitions {
		part := &view.Partitions[i]
		rows = append(rows, append([]string{
			part.ID, part.State, or(part.Owner), or(part.NextOwner), yesNo(part.Draining), seconds(part.ExpiresIn),
		}, part.Queue.cells()...))
	}
	rows = append(rows, append([]string{"work items", "shared", "-", "-", "-", "-"}, view.WorkItems.cells()...))
	p.columns([]string{"QUEUE", "STATE", "OWNER", "NEXT OWNER", "DRAINING", "EXPIRES IN", "MESSAGES", "VISIBLE", "OLDEST"}, rows)
	for _, warning := range view.Warnings {
		fmt.Fprintf(p.Out, "\nWarning: %s", warning)
	}
	if len(view.Warnings) > 0 {
		fmt.Fprintln(p.Out)
	}
}

func (q queueView) cells() []string {
	visible := strconv.Itoa(q.Visible)
	if q.Visible == storage.MaxMessagesPerGet {
		visible += "+"
	}
	return []string{"~" + strconv.Itoa(q.Messages), visible, seconds(q.OldestSeconds)}
}

func or(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}
