// Package storage is the seam between the engine and a storage account: three narrow ports, for
// queues, tables and blobs, with the conditions and failures of the real service.
//
// Two implementations exist: storage/azure talks to a storage account (or Azurite) through the
// Azure SDK, storage/memory keeps everything in the process and follows the rules of the real
// service. One conformance suite, storage/storagetest, runs on both.
//
// # Outcomes
//
// Every error of a port is an *Error that matches one of the sentinels of this package. Losing a
// race is a result: ErrExists, ErrPrecondition, ErrNotFound. An error for which Ambiguous reports
// true says that the request may have taken effect; the caller has to read back.
package storage
