// Package memory is a storage account in the memory of the process. It follows the rules of the
// real service: conditions, limits, pop receipts, leases and atomic transactions.
//
// It reads the time with package time only and starts no goroutine, so that it runs under
// testing/synctest. Where the service takes its time, it does not: a queue, table or container
// can be created again right after it was deleted, and ErrBeingDeleted never comes.
package memory
