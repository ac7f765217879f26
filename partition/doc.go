// Package partition decides which worker owns which partition of a task hub, and holds the owned
// ones. It speaks the table protocol of DurableTask.AzureStorage 2.x, so that the workers of a hub
// may be ours, .NET's or both.
//
// # Model
//
// A Lease is a row in a table, one for each control queue. Workers never talk to each other: each
// reads all rows in a pass, decides, and writes rows under the condition that they have not changed
// since (their ETag): its own ones in one transaction, others one by one. The pure half of the package, Decide, turns what was read into the
// rows to write. The other half, Manager, runs the passes and holds each owned partition as a
// context.
//
//	state           CurrentOwner  NextOwner  Draining  who moves it, and to what
//	Free            -             -          no        anybody: claim -> Owned
//	Owned(A)        A             -          no        A: renew; A stopping: -> Draining(A);
//	                                                   B, to balance: steal -> Contested(A,B)
//	Contested(A,B)  A             B          no        A: start to drain -> Draining(A,B)
//	Draining(A)     A             -          yes       anybody: steal -> Draining(A,B);
//	                                                   A, when done: release -> Free
//	Draining(A,B)   A             B          yes       A: renew; when done: release -> Reserved(B)
//	Reserved(B)     -             B          no        B: claim -> Owned(B)
//	any, expired    *             *          *         anybody: claim -> Owned
//
// A steal reserves the next turn and nothing more: nobody reads a queue before it has claimed the
// row. A worker that stops withdraws its reservations (Contested(A,B) -> Owned(A), Reserved(B) ->
// Free), so that nobody waits for it.
//
// # Clocks
//
// Expiry is written and judged by the clock of the storage service: the Date of the answer to the
// list, plus the local time that has passed since. No worker's wall clock is used. A .NET peer does
// use its own; where its clock is behind, the service's time stamp of the row shows it, and its
// lease is given the time it meant to have (see Lease.Expired).
//
// An owner trusts its own monotonic clock even less: it stops before the lease can expire, see
// Options.Margin.
//
// # Failures
//
//	a write answers 412 or 404           somebody else was faster; all rows are read again at once
//	the own rows' transaction does       the rows are written one by one at once, then as above
//	a write's outcome is unknown         the next read tells
//	storage does not answer              the owned contexts end with ErrLost before the leases do
//	a row names another owner            the owned context ends with ErrLost at once
//	Serve returns by itself, or panics   it is started again after a growing pause
//	Serve no longer polls                its context ends with ErrStalled, then it is started again
//	Serve ignores the end of its context the lease is not renewed any more: it expires, and
//	                                     another worker takes over
//	the process dies                     the lease expires; the next pass of a peer claims the row
//
// A lease does not fence. Between the loss of a lease and the last request of its former owner
// there is a time in which two workers may act; writes that matter carry an ETag as well.
//
// # Worker ids
//
// A row knows its owner by name only. Two processes with the same worker id believe that they are
// each other: both find themselves the owner, both renew, both read. Give every process its own.
package partition
