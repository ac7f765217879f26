package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/taskhub"
)

// hubView is what is known about a hub at one moment.
type hubView struct {
	Hub        string          `json:"hub"`
	Partitions []partitionView `json:"partitions"`
	WorkItems  queueView       `json:"workItems"`
	Workers    []workerView    `json:"workers"`
	// Silent are owners of partitions that leave no reports.
	Silent []string   `json:"workersWithoutReport"`
	Names  []nameView `json:"unknownNames"`
	Poison int        `json:"poison"`
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
	// LeaseAge is how long ago the lease was renewed, ExpiresIn the time that is left of it, in
	// seconds.
	LeaseAge  *float64 `json:"leaseAge,omitempty"`
	ExpiresIn float64  `json:"expiresIn,omitempty"`
	// LastPolled and Reported, when the owner told of that, are missing if it leaves no report.
	LastPolled *time.Time `json:"lastPolled,omitempty"`
	Reported   *time.Time `json:"reported,omitempty"`
	Queue      queueView  `json:"queue"`
}

// queueView is how full a queue is.
type queueView struct {
	// Messages is approximate, and includes messages that are being worked on or not due yet.
	Messages int `json:"messages"`
	// Visible is how many messages wait to be taken; a peek sees no more than 32.
	Visible int `json:"visible"`
	// OldestSeconds is the age of the oldest of them.
	OldestSeconds float64 `json:"oldestSeconds,omitempty"`
	// Deliveries is how often a message was delivered at most.
	Deliveries int `json:"deliveries,omitempty"`
}

// workerView is what a worker reports.
type workerView struct {
	ID         string  `json:"id"`
	ReportAge  float64 `json:"reportAge"`
	Fresh      bool    `json:"fresh"`
	Partitions int     `json:"partitions"`
	Activities int     `json:"activities"`
	Buffered   int     `json:"buffered"`
	Held       int     `json:"held"`
	Stalls     int64   `json:"stalls"`
	// Doorbell is where the worker can be woken, Rings how often it was.
	Doorbell string `json:"doorbell,omitempty"`
	Rings    int64  `json:"rings,omitempty"`
}

// nameView is a name that messages wait for.
type nameView struct {
	Kind     string    `json:"kind"`
	Name     string    `json:"name"`
	Count    int64     `json:"count"`
	Since    time.Time `json:"since"`
	LastSeen time.Time `json:"lastSeen"`
	Workers  []string  `json:"workers"`
	// Messages is how many are known to wait, NextTry when the first of them comes again.
	Messages int        `json:"messages"`
	NextTry  *time.Time `json:"nextTry,omitempty"`
}

func (p *program) hubShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show who owns the partitions of a task hub, how full its queues are and what its workers report",
		Args:  p.named,
		RunE: func(c *cobra.Command, _ []string) error {
			hub, err := p.open(c.Context())
			if err != nil {
				return err
			}
			health, err := hub.Health(c.Context())
			if err != nil {
				return err
			}
			view := viewHub(health)
			return p.print(view, func() { p.hubTable(view, health.At) })
		},
	}
}

func viewHub(h *taskhub.HubHealth) *hubView {
	view := &hubView{
		Hub: h.Hub, Partitions: []partitionView{}, WorkItems: viewQueue(h.WorkItems, h.At), Workers: []workerView{},
		Silent: append([]string{}, h.Silent...), Names: []nameView{}, Poison: h.Poison, Warnings: []string{},
	}
	for i := range h.Partitions {
		view.Partitions = append(view.Partitions, viewPartition(&h.Partitions[i], h.At))
	}
	for i := range h.Workers {
		view.Workers = append(view.Workers, viewWorker(&h.Workers[i]))
	}
	for _, name := range h.Names {
		named := nameView{
			Kind: string(name.Kind), Name: name.Name, Count: name.Count, Since: name.Since, LastSeen: name.LastSeen, Workers: name.Workers,
			Messages: name.Messages,
		}
		if !name.NextTry.IsZero() {
			named.NextTry = &name.NextTry
		}
		view.Names = append(view.Names, named)
	}
	for i := range h.Findings {
		if h.Findings[i].Problem() && h.Findings[i].Code != taskhub.CodeNameUnknown { // the names are told by themselves
			view.Warnings = append(view.Warnings, h.Findings[i].Text)
		}
	}
	return view
}

func viewPartition(p *taskhub.PartitionHealth, now time.Time) partitionView {
	view := partitionView{
		ID: p.ID, State: string(p.State), Owner: p.Owner, NextOwner: p.NextOwner, Draining: p.Draining,
		Queue: viewQueue(p.Queue, now),
	}
	if p.State == taskhub.PartitionFree {
		return view // what stands in its row is about an owner that has gone
	}
	if !p.LastRenewal.IsZero() {
		age := tenths(p.LeaseAge)
		view.LeaseAge = &age
	}
	if !p.Expires.IsZero() {
		view.ExpiresIn = tenths(p.Expires.Sub(now))
	}
	if !p.LastPolled.IsZero() {
		view.LastPolled, view.Reported = &p.LastPolled, &p.Reported
	}
	return view
}

func viewQueue(q taskhub.QueueHealth, now time.Time) queueView {
	view := queueView{Messages: q.Messages, Visible: q.Visible, Deliveries: q.Deliveries}
	if !q.Oldest.IsZero() {
		view.OldestSeconds = max(0, now.Sub(q.Oldest).Seconds())
	}
	return view
}

func viewWorker(w *taskhub.WorkerReport) workerView {
	view := workerView{
		ID: w.WorkerID, ReportAge: tenths(max(0, w.Age)), Fresh: w.Fresh, Partitions: len(w.Partitions),
		Activities: w.Activities, Buffered: w.Buffered, Held: len(w.Held),
		Doorbell: w.Doorbell, Rings: w.Rings,
	}
	for _, stalls := range w.Stalls {
		view.Stalls += stalls
	}
	return view
}

func tenths(d time.Duration) float64 { return d.Round(100 * time.Millisecond).Seconds() }

func (p *program) hubTable(view *hubView, now time.Time) {
	fmt.Fprintf(p.Out, "Task hub %s, %d partitions, %d poison messages\n\n", view.Hub, len(view.Partitions), view.Poison)
	var rows [][]string
	for i := range view.Partitions {
		part := &view.Partitions[i]
		polled, leaseAge := "-", "-"
		if part.LastPolled != nil {
			polled = age(part.Reported.Sub(*part.LastPolled).Seconds()) + " before report"
		}
		if part.LeaseAge != nil {
			leaseAge = age(*part.LeaseAge)
		}
		rows = append(rows, append([]string{
			part.ID, part.State, or(part.Owner), or(part.NextOwner), yesNo(part.Draining), leaseAge,
			seconds(part.ExpiresIn), polled,
		}, part.Queue.cells()...))
	}
	rows = append(rows, append([]string{"work items", "shared", "-", "-", "-", "-", "-", "-"}, view.WorkItems.cells()...))
	p.columns([]string{
		"QUEUE", "STATE", "OWNER", "NEXT OWNER", "DRAINING", "LEASE AGE", "EXPIRES IN", "POLLED", "MESSAGES", "VISIBLE", "OLDEST", "DELIVERIES",
	}, rows)
	p.workerTable(view)
	for _, name := range view.Names {
		fmt.Fprintf(p.Out, "\nWaiting for a worker that knows %s %s: %s; turned away %d times since %s by %s\n",
			name.Kind, excerpt(name.Name), name.waiting(now), name.Count, clock(name.Since), strings.Join(name.Workers, ", "))
	}
	for _, warning := range view.Warnings {
		fmt.Fprintf(p.Out, "\nWarning: %s", warning)
	}
	if len(view.Warnings) > 0 {
		fmt.Fprintln(p.Out)
	}
}

// waiting says how many messages wait for the name, and how long still.
func (n *nameView) waiting(now time.Time) string {
	if n.NextTry == nil || !n.NextTry.After(now) {
		return "the next message is tried at any moment"
	}
	noun := "messages"
	if n.Messages == 1 {
		noun = "message"
	}
	return fmt.Sprintf("%d %s put back, next try in %s", n.Messages, noun, age(n.NextTry.Sub(now).Seconds()))
}

func (p *program) workerTable(view *hubView) {
	if len(view.Workers) > 0 {
		rows := make([][]string, len(view.Workers))
		for i, w := range view.Workers {
			seen := age(w.ReportAge) + " ago"
			if !w.Fresh {
				seen += " (gone?)"
			}
			rows[i] = []string{
				w.ID, seen, strconv.Itoa(w.Partitions), strconv.Itoa(w.Activities), strconv.Itoa(w.Buffered),
				strconv.Itoa(w.Held), strconv.FormatInt(w.Stalls, 10), or(w.Doorbell),
			}
		}
		fmt.Fprintln(p.Out)
		p.columns([]string{"WORKER", "REPORTED", "PARTITIONS", "ACTIVITIES", "BUFFERED", "HELD", "STALLS", "DOORBELL"}, rows)
	}
	if len(view.Silent) > 0 {
		fmt.Fprintf(p.Out, "\nWorkers that leave no report, as .NET workers: %s. When they polled, what they run and which names they lack is not known.\n",
			strings.Join(view.Silent, ", "))
	}
}

func (q queueView) cells() []string {
	visible := strconv.Itoa(q.Visible)
	if q.Visible == storage.MaxMessagesPerGet {
		visible += "+"
	}
	deliveries := "-"
	if q.Deliveries > 0 {
		deliveries = strconv.Itoa(q.Deliveries)
	}
	return []string{"~" + strconv.Itoa(q.Messages), visible, seconds(q.OldestSeconds), deliveries}
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

// age returns how long ago something was. The service tells its time in whole seconds.
func age(s float64) string {
	return (time.Duration(max(1, s)) * time.Second).String()
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}
