package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/taskhub"
)

// diagnosisView says how an instance is.
type diagnosisView struct {
	InstanceID string         `json:"instanceId"`
	At         time.Time      `json:"at"`
	Status     history.Status `json:"status,omitempty"`
	Name       string         `json:"name,omitempty"`
	Summary    string         `json:"summary"`
	Waits      []waitView     `json:"waits"`
	Findings   []findingView  `json:"findings"`
}

// waitView is something that an instance waits for.
type waitView struct {
	Kind       string     `json:"kind"`
	Name       string     `json:"name,omitempty"`
	InstanceID string     `json:"instanceId,omitempty"`
	TaskID     int32      `json:"taskId"`
	Since      time.Time  `json:"since"`
	Due        *time.Time `json:"due,omitempty"`
	Text       string     `json:"text"`
}

func (p *program) instanceDiagnose() *cobra.Command {
	fix := false
	command := &cobra.Command{
		Use:   "diagnose ID",
		Short: "Say what an instance waits for and what is wrong with it, and repair what can safely be repaired",
		Long: `Looks at everything that is stored about an instance, and at the queues, owners and workers that it depends
on, and says what it waits for and what is wrong, in plain words. With --fix it repairs what can safely be
repaired and says what it did.

Messages that workers hold or that are not due yet cannot be seen. What is not sure because of them is
said to be likely.

Exit codes: 0 if nothing is wrong, or all that was is repaired; 9 if problems are left; notes are none.`,
		Args: exactly("the instance id"),
		RunE: func(c *cobra.Command, arguments []string) error {
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			found, err := client.Diagnose(c.Context(), arguments[0])
			if err != nil {
				return err
			}
			view := viewDiagnosis(found)
			view.Findings = p.treat(c.Context(), client, found.Findings, fix)
			if err := p.print(view, func() { p.diagnosisText(view) }); err != nil {
				return err
			}
			return unsolved(view.Findings)
		},
	}
	command.Flags().BoolVar(&fix, "fix", false, "repair what can safely be repaired")
	return command
}

func viewDiagnosis(d *taskhub.Diagnosis) *diagnosisView {
	view := &diagnosisView{InstanceID: d.InstanceID, At: d.At, Summary: d.Summary, Waits: []waitView{}}
	if d.Status != nil {
		view.Status, view.Name = d.Status.Status, d.Status.Name
	}
	for i := range d.Waits {
		w := &d.Waits[i]
		wait := waitView{
			Kind: string(w.Kind), Name: w.Name, InstanceID: w.InstanceID, TaskID: w.TaskID, Since: w.Since, Text: w.Text,
		}
		if !w.Due.IsZero() {
			wait.Due = &w.Due
		}
		view.Waits = append(view.Waits, wait)
	}
	return view
}

func (p *program) diagnosisText(view *diagnosisView) {
	fmt.Fprintf(p.Out, "Instance %s %s\n", view.InstanceID, line(view.Summary))
	if len(view.Waits) > 1 {
		for _, wait := range view.Waits {
			fmt.Fprintf(p.Out, "- %s\n", line(wait.Text))
		}
	}
	if len(view.Findings) == 0 {
		fmt.Fprintln(p.Out, "Nothing is wrong with it")
	}
	p.printFindings(view.Findings)
}
