// Package wire encodes and decodes every byte a task hub stores: queue messages, table rows and
// blobs, in the format of .NET's DurableTask.AzureStorage.
//
// The package is pure. It talks to no service, starts no goroutine, reads no clock and draws no
// random number: identifiers and times come in as arguments, texts and columns come out. Table
// keys and ETags belong to the caller; a Columns value never holds PartitionKey or RowKey.
//
// Writing follows what .NET emits down to the order of JSON members, with three deliberate
// differences, all of which .NET reads: dictionaries carry no $type (its value names a .NET runtime
// library that another runtime may not have), IsPlayed is always false, and U+FFFE and U+FFFF are
// escaped because a queue message travels inside XML.
//
// Reading accepts everything .NET accepts, what 1.x versions wrote, and the optional DataContract
// form. What is our own, and invisible to .NET, begins with "Durafleet": a member of messages, the columns
// Processed, Replaced, Started, Cost and Waits of the sentinel row, and the column Poison of the status row.
package wire
