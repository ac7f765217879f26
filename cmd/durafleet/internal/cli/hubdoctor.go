package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/taskhub"
)

// doctorView is what is wrong with a hub.
type doctorView struct {
	Hub string    `json:"hub"`
	At  time.Time `json:"at"`
	// Examined have not ended, Compared are histories beside their rows, Payloads ended instances with blobs.
	Examined      int  `json:"examined"`
	More          bool `json:"more"`
	Compared      int  `json:"compared"`
	MoreHistories bool `json:"moreHistories"`
	Payloads      int  `json:"payloads"`
	MorePayloads  bool `json:"morePayloads"`

	Findings []findingView `json:"findings"`
}

func (p *program) hubDoctor() *cobra.Command {
	fix, limit := false, 0
	command := &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Find out what is wrong with a task hub, and repair what can safely be repaired",
		Long: `Looks at partitions, queues, workers, clocks and payloads of a task hub, at its instances that have not
ended, that have messages waiting or moved aside, or whose status row does not fit the history, and says
what is wrong, in plain words, and what it has looked at. With --fix it repairs what can safely be repaired
and says what it did.

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
				Compared: found.Compared, MoreHistories: found.MoreHistories, Payloads: found.Payloads, MorePayloads: found.MorePayloads,
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
	fmt.Fprintf(p.Out, "Task hub %s\n", view.Hub)
	looked := func(what string, n int, more bool) {
		rest := ""
		if more {
			rest = ", and there are more"
		}
		fmt.Fprintf(p.Out, "  %s: %d%s\n", what, n, rest)
	}
	looked("instances examined that have not ended", view.Examined, view.More)
	looked("histories compared with their status rows", view.Compared, view.MoreHistories)
	looked("ended instances searched for payloads that nothing refers to", view.Payloads, view.MorePayloads)
	if len(view.Findings) == 0 {
		fmt.Fprintln(p.Out, "Nothing is wrong")
	}
	p.printFindings(view.Findings)
}
