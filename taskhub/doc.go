// Package taskhub is how programs reach a task hub: they open or create one in a storage account,
// and start, watch, steer and remove the instances in it. It needs no worker in the same process.
//
//	hub, err := taskhub.Open(ctx, taskhub.ConnectionString(text), "Orders", nil)
//	client := taskhub.NewClient(hub)
//	instance, err := taskhub.Start(ctx, client, Manifest, request)
//	report, err := instance.Wait(ctx)
//
// # Ids
//
// Leave the id of an instance to Start unless it has to come from outside or stands for something
// of which there may be only one: random ids spread evenly over the partitions, and they save a
// request. With a chosen id, a Reuse option says what an existing instance of that id means.
//
// # A start is two writes
//
// The start message goes into the control queue first, then the status row is written, so that a
// row always has a message that brings it to life. The row decides: of several starts of one id,
// the one whose row stands is the one that runs, and the messages of the others are taken back or
// dropped by workers. Once the message is sent, Start carries the row through even if its context
// ends, within a short limit of its own.
//
//	what fails                     what remains
//	the message is refused         nothing
//	the message's fate is unclear  it is sent again, the same one; workers drop doubles
//	the row is refused             nothing; the message is taken back
//	the row's fate is unclear      it is read back; if that fails, too: ErrUnclear
//	the process dies in between    a message without a row, which workers drop after a while
//
// # Commands
//
// Events, Terminate, Suspend and Resume are messages: they have been accepted when the call
// returns and take effect when a worker reads them. Before sending, they look whether the
// instance exists and is alive; that check cannot see what happens afterwards.
package taskhub
