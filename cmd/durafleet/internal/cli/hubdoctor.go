package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/taskhub"
)

// doctorView is what is wrong with a hub.
type doctorView struct {
	Hub      string        `json:"hub"`
	At       time.Time     `json:"at"`
	Examined int           `json:"examined"`
	More     bool          `json:"more"`
	Findings []findingView `json:"findings"`
}

func (p *program) hubDoctor() *cobra.Command {
	fix, limit := false, 0
	command := &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Find out what is wrong with a task hub, and repair what can safely be repaired",
		Long: `Looks at partitions, queues, workers, clocks and payloads of a task hub, and at its instances that have
not ended, and says what is wrong, in plain words. With --fix it repairs what can safely be repaired and
says what it did.

Exit codes: 0 if nothing is wrong, or all that was is repaired; 9 if problems are left; notes are none.`,
		Args: p.named,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("instances") && limit < 1 {
				return usagef("--instances %d: must be at least 1", limit)
			}
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			found, err := client.Doctor(c.Context(), &taskhub.DoctorOptions{Instances: limit})
			if err != nil {
				return err
			}
			view := &doctorView{
				Hub: found.Hub, At: found.At, Examined: found.Examined, More: found.More,
				Findings: p.treat(c.Context(), client, found.Findings, fix),
			}
			if err := p.print(view, func() { p.doctorText(view) }); err != nil {
				return err
			}
			return unsolved(view.Findings)
		},
	}
	command.Flags().BoolVar(&fix, "fix", false, "repair what can safely be repaired")
	command.Flags().IntVar(&limit, "instances", 0, "how many instances that have not ended are examined (default 1000)")
	return command
}

func (p *program) doctorText(view *doctorView) {
	more := ""
	if view.More {
		more = "; there are more"
	}
	fmt.Fprintf(p.Out, "Task hub %s, %d instances that have not ended examined%s\n", view.Hub, view.Examined, more)
	if len(view.Findings) == 0 {
		fmt.Fprintln(p.Out, "Nothing is wrong")
	}
	p.printFindings(view.Findings)
}
