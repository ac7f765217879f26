package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// onOff is a flag that is on by default and takes on and off, as in --cache=off. By itself it means on.
// The variable says off.
type onOff struct{ off *bool }

// onOffFlag adds an onOff to a command.
func onOffFlag(command *cobra.Command, off *bool, name, usage string) {
	command.Flags().Var(onOff{off}, name, usage)
	command.Flags().Lookup(name).NoOptDefVal = "on"
}

// String implements pflag.Value.
func (o onOff) String() string {
	if o.off != nil && *o.off {
		return "off"
	}
	return "on"
}

// Set implements pflag.Value.
func (o onOff) Set(text string) error {
	switch text {
	case "on", "true":
		*o.off = false
	case "off", "false":
		*o.off = true
	default:
		return fmt.Errorf("must be on or off")
	}
	return nil
}

// Type implements pflag.Value.
func (o onOff) Type() string { return "on|off" }
