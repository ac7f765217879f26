package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/taskhub"
)

func (p *program) poisonCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "poison",
		Short: "Look at, retry and drop messages that workers moved out of their queues",
		Long: `A message that cannot be worked on, however often it is delivered, is moved out of its queue: because it is
unreadable, because the stored instance is damaged, or because workers die of it. Its instance may wait for it.
Once the reason is gone, retry puts the message into its queue again; drop removes it for good.`,
	}
	command.AddCommand(p.poisonList(), p.poisonShow(), p.poisonRetry(), p.poisonDrop())
	return command
}

// poisonView is a poison message as it is printed.
type poisonView struct {
	ID          string       `json:"id"`
	Queue       string       `json:"queue,omitempty"`
	InstanceID  string       `json:"instanceId,omitempty"`
	ExecutionID string       `json:"executionId,omitempty"`
	Kind        history.Kind `json:"kind,omitempty"`
	Name        string       `json:"name,omitempty"`
	Reason      string       `json:"reason"`
	Deliveries  int          `json:"deliveries"`
	Crashes     int          `json:"crashes"`
	Inserted    *time.Time   `json:"inserted,omitempty"`
	Moved       *time.Time   `json:"moved,omitempty"`
	Worker      string       `json:"worker,omitempty"`
	Answered    bool         `json:"answered"`
	PayloadBlob string       `json:"payloadBlob,omitempty"`
	Unreadable  bool         `json:"unreadable,omitempty"`
	Text        string       `json:"text,omitempty"`
}

func viewPoison(m *taskhub.PoisonMessage) *poisonView {
	view := &poisonView{
		ID: m.ID, Queue: m.Queue, InstanceID: m.InstanceID, ExecutionID: m.ExecutionID, Kind: m.Kind, Name: m.Name,
		Reason: m.Reason, Deliveries: m.Deliveries, Crashes: m.Crashes, Worker: m.WorkerID, Answered: m.Answered,
		PayloadBlob: m.PayloadBlob, Unreadable: m.Unreadable, Text: m.Text,
	}
	if !m.Moved.IsZero() {
		view.Inserted, view.Moved = &m.Inserted, &m.Moved
	}
	return view
}

func (p *program) poisonList() *cobra.Command {
	query, top := taskhub.PoisonQuery{}, 0
	command := &cobra.Command{
		Use:   "list",
		Short: "List poison messages",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if top < 1 {
				return usagef("--top %d: must be 1 to 1000", top)
			}
			query.PageSize = top
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			page, err := client.ListPoison(c.Context(), query)
			if err != nil {
				return err
			}
			return p.printPoison(page)
		},
	}
	flags := command.Flags()
	flags.StringVar(&query.InstanceID, "instance", "", "only those about this instance")
	flags.IntVar(&top, "top", 100, "how many at most, 1 to 1000; the output says how to go on")
	flags.StringVar(&query.Token, "token", "", "where to go on, from the output before")
	return command
}

func (p *program) printPoison(page *taskhub.PoisonPage) error {
	views := make([]*poisonView, len(page.Messages))
	for i, message := range page.Messages {
		views[i] = viewPoison(message)
		views[i].Text = "" // show has it
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
		Messages []*poisonView `json:"messages"`
		Next     string        `json:"next,omitempty"`
	}{views, page.Next}
	return p.print(view, func() {
		rows := make([][]string, len(views))
		for i, v := range views {
			rows[i] = []string{
				v.ID, or(excerpt(v.InstanceID)), or(string(v.Kind)), or(excerpt(v.Name)),
				strconv.Itoa(v.Deliveries), strconv.Itoa(v.Crashes), clockOr(v.Moved, "-"), gist(v.Reason),
			}
		}
		p.columns([]string{"ID", "INSTANCE", "KIND", "NAME", "DELIVERIES", "CRASHES", "MOVED", "REASON"}, rows)
		p.more(page.Next)
	})
}

func (p *program) poisonShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a poison message with its text",
		Args:  exactly("the id of the poison message"),
		RunE: func(c *cobra.Command, arguments []string) error {
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			message, err := client.GetPoison(c.Context(), arguments[0])
			if err != nil {
				return err
			}
			view := viewPoison(message)
			return p.print(view, func() { p.poisonFields(view) })
		},
	}
}

func (p *program) poisonFields(v *poisonView) {
	told := ""
	if v.Answered {
		told = "the orchestration was told that its activity failed"
	}
	p.fields(
		[2]string{"Poison message", v.ID},
		[2]string{"Queue", v.Queue},
		[2]string{"Instance", excerpt(v.InstanceID)},
		[2]string{"Execution", excerpt(v.ExecutionID)},
		[2]string{"Kind", string(v.Kind)},
		[2]string{"Name", excerpt(v.Name)},
		[2]string{"Reason", clean(v.Reason)},
		[2]string{"Deliveries", strconv.Itoa(v.Deliveries)},
		[2]string{"Crashes", strconv.Itoa(v.Crashes)},
		[2]string{"Inserted", clockOr(v.Inserted, "")},
		[2]string{"Moved", clockOr(v.Moved, "")},
		[2]string{"Worker", excerpt(v.Worker)},
		[2]string{"Answered", told},
		[2]string{"Payload blob", excerpt(v.PayloadBlob)},
		[2]string{"Text", excerpt(v.Text)},
	)
}

// selection is which poison messages a command acts on.
type selection struct {
	all      bool
	instance string
}

func (s *selection) define(command *cobra.Command) {
	command.Flags().BoolVar(&s.all, "all", false, "all of the hub, or of --instance")
	command.Flags().StringVar(&s.instance, "instance", "", "with --all: only those about this instance")
	command.Args = func(c *cobra.Command, arguments []string) error {
		switch {
		case s.all && len(arguments) > 0:
			return usagef("%s: --all and %q exclude each other", c.CommandPath(), arguments[0])
		case s.instance != "" && !s.all:
			return usagef("%s: --instance needs --all", c.CommandPath())
		case !s.all && len(arguments) == 0:
			return usagef("%s: the id of a poison message, or --all, is missing", c.CommandPath())
		}
		return nil
	}
}

// ids returns the messages to act on. What is moved meanwhile is left alone.
func (s *selection) ids(ctx context.Context, client *taskhub.Client, arguments []string) ([]string, error) {
	if !s.all {
		return arguments, nil
	}
	var ids []string
	for message, err := range client.AllPoison(ctx, taskhub.PoisonQuery{InstanceID: s.instance, PageSize: 1000}) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, message.ID)
	}
	return ids, nil
}

func (p *program) poisonRetry() *cobra.Command {
	s := &selection{}
	command := &cobra.Command{
		Use:   "retry ID... | --all",
		Short: "Put poison messages into their queues again, as they were",
		RunE: func(c *cobra.Command, arguments []string) error {
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			ids, err := s.ids(c.Context(), client, arguments)
			if err != nil {
				return err
			}
			return p.eachPoison(c.Context(), "retried", ids, client.RetryPoison)
		},
	}
	s.define(command)
	return command
}

func (p *program) poisonDrop() *cobra.Command {
	s, yes := &selection{}, false
	command := &cobra.Command{
		Use:   "drop ID... | --all",
		Short: "Remove poison messages for good; what waits for them goes on waiting",
		RunE: func(c *cobra.Command, arguments []string) error {
			client, err := p.client(c.Context())
			if err != nil {
				return err
			}
			ids, err := s.ids(c.Context(), client, arguments)
			if err != nil {
				return err
			}
			question := "Drop poison message " + strings.Join(ids, ", ")
			if len(ids) != 1 {
				question = fmt.Sprintf("Drop %d poison messages", len(ids))
			}
			if err := p.confirm(yes || len(ids) == 0, question); err != nil {
				return err
			}
			return p.eachPoison(c.Context(), "dropped", ids, client.DropPoison)
		},
	}
	s.define(command)
	command.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return command
}

// eachPoison acts on messages one after the other. One that fails does not keep the others from
// being acted on; what was done is printed in any case.
func (p *program) eachPoison(ctx context.Context, done string, ids []string, act func(context.Context, string) error) error {
	acted, failed := []string{}, []error{}
	for _, id := range ids {
		if err := act(ctx, id); err != nil {
			failed = append(failed, err)
		} else {
			acted = append(acted, id)
		}
		if ctx.Err() != nil {
			break
		}
	}
	err := p.print(map[string][]string{done: acted}, func() {
		for _, id := range acted {
			fmt.Fprintf(p.Out, "Poison message %s: %s\n", id, done)
		}
		if len(ids) == 0 {
			fmt.Fprintln(p.Out, "There are no poison messages")
		}
	})
	switch {
	case len(failed) > 1:
		return fmt.Errorf("%d of %d poison messages were not %s; the first: %w", len(failed), len(ids), done, failed[0])
	case len(failed) == 1:
		return failed[0]
	}
	return errors.Join(err, ctx.Err())
}
