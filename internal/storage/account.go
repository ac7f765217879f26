package storage

// Account bundles the three ports of one storage account. Queues may belong to another account
// than tables and blobs.
type Account struct {
	Queues Queues
	Tables Tables
	Blobs  Blobs
}
