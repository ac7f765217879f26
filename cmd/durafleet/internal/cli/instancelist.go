package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/taskhub"
)

// listFlags are the flags of instance list.
type listFlags struct {
	query    taskhub.Query
	statuses []string
	from, to string
	top      int
}

func (p *program) instanceList() *cobra.Command {
	f := &listFlags{}
	command := &cobra.Command{
		Use:   "list",
		Short: "List instances",
		Args:  exactly(),
		RunE:  func(c *cobra.Command, _ []string) error { return p.list(c, f) },
	}
	flags := command.Flags()
	flags.StringSliceVar(&f.statuses, "status", nil, "only these: Pending, Running, Suspended, Completed, Failed, Terminated; may be repeated")
	flags.StringVar(&f.query.Name, "name", "", "only orchestrations of this name")
	flags.StringVar(&f.query.IDPrefix, "prefix", "", "only ids that begin so")
	flags.StringVar(&f.from, "from", "", "only those created at or after this time, or so long ago at most, as 24h")
	flags.StringVar(&f.to, "to", "", "only those created at or before this time, or so long ago at least")
	flags.IntVar(&f.top, "top", 100, "how many at most, 1 to 1000; the output says how to go on")
	flags.StringVar(&f.query.Token, "token", "", "where to go on, from the output before")
	flags.BoolVar(&f.query.Payloads, "payloads", false, "include inputs, outputs and custom statuses in JSON")
	return command
}

func (p *program) list(c *cobra.Command, f *listFlags) error {
	query, err := f.build(time.Now())
	if err != nil {
		return err
	}
	client, err := p.client(c.Context())
	if err != nil {
		return err
	}
	page, err := client.List(c.Context(), query)
	if err != nil {
		return err
	}
	views := make([]*instanceView, len(page.Instances))
	for i, status := range page.Instances {
		views[i] = viewInstance(status)
	}
	if p.output == outputJSONL {
		for _, view := range views {
			if err := p.printJSON(view); err != nil {
				return err
			}
		}
		p.more(page.Next)
		return nil
	}
	view := struct {
		Instances []*instanceView `json:"instances"`
		Next      string          `json:"next,omitempty"`
	}{views, page.Next}
	return p.print(view, func() {
		rows := make([][]string, len(views))
		for i, v := range views {
			rows[i] = []string{excerpt(v.InstanceID), excerpt(v.Name), v.shownStatus(), clock(v.Created), clock(v.LastUpdated)}
		}
		p.columns([]string{"ID", "NAME", "STATUS", "CREATED", "LAST UPDATED"}, rows)
		p.more(page.Next)
	})
}

// shownStatus returns the status with what keeps the instance from going on.
func (v *instanceView) shownStatus() string {
	status := string(v.Status)
	if v.Unreadable != "" {
		status = "unreadable"
	}
	if v.Poison != nil {
		status += " (poison)"
	}
	return status
}

// more says how to see what the page does not show.
func (p *program) more(next string) {
	if next != "" {
		fmt.Fprintf(p.Err, "There are more; go on with --token %s\n", next)
	}
}

func (f *listFlags) build(now time.Time) (taskhub.Query, error) {
	query := f.query
	query.PageSize = f.top
	if f.top < 1 {
		return query, usagef("--top %d: must be 1 to 1000", f.top)
	}
	for _, text := range f.statuses {
		status, err := parseStatus(text)
		if err != nil {
			return query, err
		}
		query.Statuses = append(query.Statuses, status)
	}
	for _, limit := range []struct {
		flag, text string
		time       *time.Time
	}{{"--from", f.from, &query.CreatedFrom}, {"--to", f.to, &query.CreatedTo}} {
		if limit.text == "" {
			continue
		}
		at, err := parseTime(limit.flag, limit.text, now, -1)
		if err != nil {
			return query, err
		}
		*limit.time = at
	}
	return query, nil
}

// parseStatus reads a status without regard to case.
func parseStatus(text string) (history.Status, error) {
	for _, status := range history.Statuses() {
		if strings.EqualFold(text, string(status)) {
			return status, nil
		}
	}
	return "", usagef("--status %q: must be one of %v", text, history.Statuses())
}
