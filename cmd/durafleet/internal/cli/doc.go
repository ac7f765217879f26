// Package cli is the command line of durafleet: the commands, what they read and print, and the
// exit codes by which scripts tell what happened.
package cli
