package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/run"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

// The ports that UseDevelopmentStorage=true means.
const (
	devBlobPort  = 10000
	devQueuePort = 10001
	devTablePort = 10002
)

func (p *program) devCommand() *cobra.Command {
	opts := &azurite.Options{Progress: func(text string) { fmt.Fprintln(p.Out, text) }}
	noWorker := false
	command := &cobra.Command{
		Use:   "dev",
		Short: "Run Azurite with a task hub and a worker of the built-in examples",
		Long: `dev starts Azurite, creates the task hub and runs a worker with the built-in examples, until Ctrl-C. By
default it takes Azurite's usual ports, so that UseDevelopmentStorage=true reaches it, and forgets all data
when it ends.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return p.dev(c.Context(), opts, noWorker) },
	}
	flags := command.Flags()
	flags.StringVar(&opts.Location, "location", "", "directory to keep the data in (default: memory)")
	flags.IntVar(&opts.BlobPort, "blob-port", devBlobPort, "port of the blob service, 0 for a free one")
	flags.IntVar(&opts.QueuePort, "queue-port", devQueuePort, "port of the queue service, 0 for a free one")
	flags.IntVar(&opts.TablePort, "table-port", devTablePort, "port of the table service, 0 for a free one")
	flags.BoolVar(&noWorker, "no-worker", false, "run no worker")
	return command
}

func (p *program) dev(ctx context.Context, opts *azurite.Options, noWorker bool) error {
	for _, port := range []struct {
		flag  string
		value int
	}{{"--blob-port", opts.BlobPort}, {"--queue-port", opts.QueuePort}, {"--table-port", opts.TablePort}} {
		if port.value < 0 || port.value > 65535 {
			return usagef("%s %d: must be 0 to 65535", port.flag, port.value)
		}
	}
	server, err := azurite.Launch(ctx, opts)
	if err != nil {
		return err
	}
	defer server.Stop()
	connection := server.ConnectionString()
	hub, err := taskhub.Create(ctx, taskhub.ConnectionString(connection), p.hubName(), nil)
	if err != nil {
		return err
	}
	p.devHelp(hub, connection, opts)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var group run.Group
	group.Go(ctx, "dev: watch azurite", func(ctx context.Context) {
		select {
		case <-server.Done():
			fail(errors.New("azurite ended by itself" + server.LastOutput()))
		case <-ctx.Done():
		}
	})
	if noWorker {
		<-ctx.Done()
	} else {
		log := slog.New(slog.NewTextHandler(p.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		err = p.runWorker(ctx, hub, &worker.Options{AppName: p.appName(), Logger: log})
	}
	group.Wait()
	select {
	case <-server.Done():
		return errors.Join(context.Cause(ctx), err)
	default:
		return err
	}
}

// devHelp says how to use what runs. The key that it shows is Azurite's, which is public.
func (p *program) devHelp(hub *taskhub.Hub, connection string, opts *azurite.Options) {
	data := "in memory, and gone when this ends"
	if opts.Location != "" {
		data = "in " + opts.Location
	}
	fmt.Fprintf(p.Out, `
Task hub %s with %d partitions is ready. Its data is %s.

Use it from another terminal:

  export DURAFLEET_CONNECTION='%s'
  export DURAFLEET_HUB=%s
  durafleet instance start Greet --input '["Tokyo","Seattle"]' --wait
  durafleet hub show

`, hub.Name(), hub.Partitions(), data, connection, hub.Name())
}
