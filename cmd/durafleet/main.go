// Command durafleet shows, runs and manages durable orchestrations on an Azure Storage account.
package main

import (
	"context"
	"os"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/cli"
	"github.com/durafleet/durafleet/cmd/durafleet/internal/interrupt"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, release := interrupt.Context(context.Background(), func() { os.Exit(cli.ExitOther) })
	defer release()
	return cli.Run(ctx, os.Args[1:], cli.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, LookupEnv: os.LookupEnv, Exit: os.Exit,
	})
}
