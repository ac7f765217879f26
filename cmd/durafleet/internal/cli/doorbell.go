package cli

import (
	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/worker"
)

// doorbellFlags are the flags of a worker that can be woken.
type doorbellFlags struct{ listen, advertise string }

const (
	doorbellFlag  = "doorbell"
	advertiseFlag = "doorbell-advertise"
)

func (d *doorbellFlags) define(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&d.listen, doorbellFlag, "", "listen for UDP datagrams by which others wake this worker, "+
		"at [HOST]:PORT; by itself: at any free port")
	flags.Lookup(doorbellFlag).NoOptDefVal = ":0"
	flags.StringVar(&d.advertise, advertiseFlag, "", "HOST or HOST:PORT at which others reach the doorbell (default: the address "+
		"from which this machine speaks to the storage)")
}

// options returns what the flags say, nil if there is to be no doorbell.
func (d *doorbellFlags) options(c *cobra.Command) *worker.Doorbell {
	if !c.Flags().Changed(doorbellFlag) && !c.Flags().Changed(advertiseFlag) {
		return nil
	}
	return &worker.Doorbell{Listen: d.listen, Advertise: d.advertise}
}

// ringFlag adds the flag of commands that put something into the queue of a worker.
func (p *program) ringFlag(command *cobra.Command) {
	command.Flags().BoolVar(&p.ring, doorbellFlag, false, "wake the worker that is to take it, if it has a --doorbell; takes a request")
}
