package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/taskhub"
)

func (p *program) instanceCommand() *cobra.Command {
	command := &cobra.Command{Use: "instance", Short: "Start, watch, steer and remove instances"}
	command.AddCommand(
		p.instanceStart(), p.instanceGet(), p.instanceList(), p.instanceWait(), p.instanceHistory(), p.instanceDiagnose(),
		p.instanceRaise(), p.instanceTerminate(), p.instanceSuspend(), p.instanceResume(), p.instancePurge(),
	)
	return command
}

// instanceView is the status of an instance as it is printed.
type instanceView struct {
	InstanceID     string            `json:"instanceId"`
	ExecutionID    string            `json:"executionId"`
	Name           string            `json:"name"`
	Version        string            `json:"version,omitempty"`
	Status         history.Status    `json:"status"`
	Created        time.Time         `json:"created"`
	LastUpdated    time.Time         `json:"lastUpdated"`
	Completed      *time.Time        `json:"completed,omitempty"`
	ScheduledStart *time.Time        `json:"scheduledStart,omitempty"`
	Generation     int32             `json:"generation"`
	Tags           map[string]string `json:"tags,omitempty"`
	Input          json.RawMessage   `json:"input,omitempty"`
	Output         json.RawMessage   `json:"output,omitempty"`
	CustomStatus   json.RawMessage   `json:"customStatus,omitempty"`
	Failure        string            `json:"failure,omitempty"`
	Reason         string            `json:"reason,omitempty"`
	Poison         *markView         `json:"poison,omitempty"`
	// Unreadable, UnreadableInput and UnreadableOutput say what of the instance cannot be read, and why.
	Unreadable       string `json:"unreadable,omitempty"`
	UnreadableInput  string `json:"unreadableInput,omitempty"`
	UnreadableOutput string `json:"unreadableOutput,omitempty"`
	// Requests is what the instance has cost so far on this fleet in storage requests; missing if that
	// was not asked for or is not known.
	Requests *int64 `json:"requests,omitempty"`
}

// markView says that messages of an instance were moved out of their queues.
type markView struct {
	IDs    []string  `json:"ids"`
	Reason string    `json:"reason"`
	Moved  time.Time `json:"moved"`
}

func viewMark(m *taskhub.PoisonMark) *markView {
	if m == nil {
		return nil
	}
	return &markView{m.IDs, m.Reason, m.Moved}
}

// String returns the mark as one line.
func (m *markView) String() string {
	if m == nil {
		return ""
	}
	return fmt.Sprintf("%d, the last %s: %s (see poison list --instance)", len(m.IDs), clock(m.Moved), gist(m.Reason))
}

func viewInstance(s *taskhub.Status) *instanceView {
	return &instanceView{
		InstanceID: s.InstanceID, ExecutionID: s.ExecutionID, Name: s.Name, Version: s.Version, Status: s.Status,
		Created: s.Created, LastUpdated: s.LastUpdated, Completed: s.Completed, ScheduledStart: s.ScheduledStart,
		Generation: s.Generation, Tags: s.Tags, Input: s.Input, Output: s.Output, CustomStatus: s.CustomStatus,
		Failure: s.Failure, Reason: s.Reason, Poison: viewMark(s.Poison),
		Unreadable: s.Unreadable, UnreadableInput: s.UnreadableInput, UnreadableOutput: s.UnreadableOutput,
	}
}

func (p *program) printInstance(s *instanceView) error {
	return p.print(s, func() {
		var tags []string
		for _, key := range slices.Sorted(maps.Keys(s.Tags)) {
			tags = append(tags, key+"="+s.Tags[key])
		}
		p.fields(
			[2]string{"Instance", s.InstanceID},
			[2]string{"Execution", s.ExecutionID},
			[2]string{"Name", s.Name},
			[2]string{"Version", s.Version},
			[2]string{"Status", s.readStatus()},
			[2]string{"Created", known(s.Created)},
			[2]string{"Scheduled for", clockOr(s.ScheduledStart, "")},
			[2]string{"Last updated", known(s.LastUpdated)},
			[2]string{"Completed", clockOr(s.Completed, "")},
			[2]string{"Tags", excerpt(strings.Join(tags, " "))},
			[2]string{"Input", payload(s.Input, s.UnreadableInput)},
			[2]string{"Custom status", excerpt(string(s.CustomStatus))},
			[2]string{"Output", payload(s.Output, s.UnreadableOutput)},
			[2]string{"Failure", gist(s.Failure)},
			[2]string{"Reason", gist(s.Reason)},
			[2]string{"Cost so far", s.cost()},
			[2]string{"Poison messages", s.Poison.String()},
		)
	})
}

// readStatus returns the status, or why it cannot be read.
func (v *instanceView) readStatus() string {
	if v.Unreadable != "" {
		return "cannot be read: " + gist(v.Unreadable)
	}
	return string(v.Status)
}

// payload returns an excerpt of a payload, or why it cannot be read.
func payload(value json.RawMessage, unreadable string) string {
	if unreadable != "" {
		return "cannot be read: " + gist(unreadable)
	}
	return excerpt(string(value))
}

// known returns a time that may not be known.
func known(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return clock(t)
}

func (v *instanceView) cost() string {
	if v.Requests == nil {
		return ""
	}
	return fmt.Sprintf("%d storage requests on this fleet", *v.Requests)
}

// addCost adds what an instance has cost. Without it the rest is worth showing as well.
func (p *program) addCost(ctx context.Context, client *taskhub.Client, view *instanceView) {
	requests, known, err := client.InstanceCost(ctx, view.InstanceID)
	if err != nil {
		fmt.Fprintf(p.Err, "durafleet: what the instance has cost is not known: %v\n", err)
		return
	}
	if known {
		view.Requests = &requests
	}
}

func (p *program) instanceGet() *cobra.Command {
	noPayloads, noCost := false, false
	command := &cobra.Command{
		Use:   "get ID",
		Short: "Show the status of an instance",
		Long: `get shows the status of an instance. If something that is stored about it is missing or damaged, get shows
the rest and what cannot be read; the exit code is 9 then.`,
		Args: exactly("the instance id"),
		RunE: func(c *cobra.Command, arguments []string) error {
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			var options []taskhub.GetOption
			if noPayloads {
				options = append(options, taskhub.NoPayloads{})
			}
			status, unreadable := client.Get(c.Context(), arguments[0], options...)
			if status == nil {
				return unreadable
			}
			view := viewInstance(status)
			if !noCost {
				p.addCost(c.Context(), client, view)
			}
			if err := p.printInstance(view); err != nil {
				return err
			}
			return unreadable
		},
	}
	command.Flags().BoolVar(&noCost, "no-cost", false, "leave out what the instance has cost, and the request that reads it")
	command.Flags().BoolVar(&noPayloads, "no-payloads", false, "leave out input, output and custom status")
	return command
}

// acknowledge prints that something was done to an instance.
func (p *program) acknowledge(id, done string) error {
	view := struct {
		InstanceID string `json:"instanceId"`
		Done       string `json:"done"`
	}{id, done}
	return p.print(view, func() { fmt.Fprintf(p.Out, "Instance %s: %s\n", id, done) })
}
