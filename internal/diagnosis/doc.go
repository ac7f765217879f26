// Package diagnosis turns what was read of a task hub into findings in plain words. It is pure:
// facts come in, findings go out; reading and repairing are for others.
//
// # What can be known
//
// Whoever looks at a queue from outside sees the first 32 visible messages, and a count that
// includes the hidden ones: those that a worker holds, that were put back for a while, or that are
// not due yet. A message that is not seen is therefore lost for sure only if nothing was hidden. A
// Look that is Whole says so.
//
// That nothing has moved while the parts were read, one after the other, has to be shown as well:
// an activity whose work item was not seen may have been answered a moment later. The order of
// reading makes that decidable, because workers write in an order of their own: messages, history,
// status row, and only then are consumed messages deleted. So the history is read first, then the
// work items, then the control queues, then the history's version once more. If that is the same
// (Facts.Steady), a message that was in neither queue did not exist.
//
// What is not sure is said to be likely, or is no finding at all: a diagnosis of a healthy hub,
// however busy, finds nothing.
package diagnosis
