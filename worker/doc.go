// Package worker is the fleet member: it runs the orchestrations and activities of a task hub,
// side by side with other workers, ours or .NET's.
//
// # Parts
//
// The partition manager says which control queues this worker owns. For each, a reader takes
// messages and hands them to sessions, one for each instance. A session is the only place in
// which its instance is worked on: it loads the history, sorts the messages out, computes a turn
// and stores the outcome. Activities come from the work-item queue, which all workers share.
// Messages are held, and renewed, until what they brought is stored; then they are deleted.
//
// # Order of writes
//
// A turn is stored as: messages it sends, history with sentinel, status row, deletion of the
// messages it consumed. A crash between any two of them leaves messages that come back, and a
// history that says what is still to be done. See checkpoint.go.
//
// # What goes wrong, and what follows
//
//	another worker was quicker      the turn is dropped, what it sent is taken back if that is
//	                                safe, its messages are put back
//	a lease is lost                 nothing more is sent or stored for its instances
//	a message is early or unknown   it is put back with a growing delay
//	code does not fit the history   the instance is held: nothing is stored, it is tried again
//	the worker stops                turns under way end, all other messages are made visible
package worker
