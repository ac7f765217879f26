// Package turn computes one turn of an instance: stored history and new messages go in, the rows
// to add and the messages to send come out. It is pure; worker loads, stores and sends.
//
// A turn is one episode of the orchestrator, or several if it continues as new: then every
// further generation runs at once within the same turn, only the last one is stored, and the
// messages of all of them are sent.
package turn
