package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/taskhub"
)

// startFlags are the flags of instance start.
type startFlags struct {
	input    data
	id       string
	tags     []string
	version  string
	at       string
	ifExists string
	wait     bool
	timeout  time.Duration
}

func (p *program) instanceStart() *cobra.Command {
	f := &startFlags{}
	command := &cobra.Command{
		Use:   "start NAME",
		Short: "Start an instance of an orchestration",
		Long: `start starts an instance and prints its id. A random id spreads instances evenly; choose one with --id
only if it comes from outside or stands for something of which there may be only one.`,
		Args: exactly("the name of the orchestration"),
		RunE: func(c *cobra.Command, arguments []string) error { return p.start(c, arguments[0], f) },
	}
	f.input.define(command, "input", "input of the orchestration")
	p.ringFlag(command)
	flags := command.Flags()
	flags.StringVar(&f.id, "id", "", "id of the instance (default: a random one)")
	flags.StringArrayVar(&f.tags, "tag", nil, "tag to store with the instance, as KEY=VALUE; may be repeated")
	flags.StringVar(&f.version, "version", "", "version of the orchestration")
	flags.StringVar(&f.at, "at", "", "when to start: a time such as 2030-01-31T12:00:00Z, or a duration from now such as 10m")
	flags.StringVar(&f.ifExists, "if-exists", "refuse", "if there is an instance of the id: refuse (while it is alive), use or replace it")
	flags.BoolVar(&f.wait, "wait", false, "wait until the instance has ended")
	flags.DurationVar(&f.timeout, "timeout", 0, "give --wait up after this time (default: never)")
	return command
}

func (p *program) start(c *cobra.Command, name string, f *startFlags) error {
	options, err := f.options(c, time.Now())
	if err != nil {
		return err
	}
	input, err := f.input.value(c)
	if err != nil {
		return err
	}
	client, err := p.client(c.Context())
	if err != nil {
		return err
	}
	instance, err := client.StartByName(c.Context(), name, input, options...)
	if err != nil {
		return err
	}
	if f.wait {
		return p.await(c.Context(), client, instance.ID(), f.timeout)
	}
	return p.printStarted(instance)
}

func (p *program) printStarted(instance *taskhub.Instance[json.RawMessage]) error {
	view := struct {
		InstanceID  string `json:"instanceId"`
		ExecutionID string `json:"executionId"`
	}{instance.ID(), instance.ExecutionID()}
	return p.print(view, func() { fmt.Fprintln(p.Out, instance.ID()) })
}

// options turns the flags into options of a start.
func (f *startFlags) options(c *cobra.Command, now time.Time) ([]taskhub.StartOption, error) {
	options := []taskhub.StartOption{taskhub.Version(f.version)}
	if c.Flags().Changed("id") {
		options = append(options, taskhub.InstanceID(f.id))
	}
	if c.Flags().Changed("timeout") && !f.wait {
		return nil, usagef("--timeout: it limits --wait, which is missing")
	}
	tags := taskhub.Tags{}
	for _, tag := range f.tags {
		key, value, found := strings.Cut(tag, "=")
		if !found || key == "" {
			return nil, usagef("--tag %q: must have the form KEY=VALUE", tag)
		}
		tags[key] = value
	}
	if len(tags) > 0 {
		options = append(options, tags)
	}
	if f.at != "" {
		at, err := parseTime("--at", f.at, now, 1)
		if err != nil {
			return nil, err
		}
		options = append(options, taskhub.StartAt(at))
	}
	switch f.ifExists {
	case "refuse":
		options = append(options, taskhub.RefuseLive)
	case "use":
		options = append(options, taskhub.UseExisting)
	case "replace":
		options = append(options, taskhub.ReplaceLive)
	default:
		return nil, usagef("--if-exists %q: must be refuse, use or replace", f.ifExists)
	}
	return options, nil
}

// parseTime reads a time, or a duration away from now in the given direction.
func parseTime(flag, text string, now time.Time, direction time.Duration) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(direction * d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usagef("%s %q: must be a time such as 2030-01-31T12:00:00Z, or a duration such as 10m", flag, text)
	}
	return at, nil
}
