// Package applease lets one application at a time process a task hub, as DurableTask.AzureStorage
// does: by a lease on a container. All workers of an application use the same lease id, made from
// the application's name, so that all of them hold the lease at once; another application waits.
//
// The lease gates the partitions, not the clients, and no .NET worker's activities. It is a choice
// between whole applications; what keeps two workers apart is the partition's own lease.
//
//	acquired            the gated function runs
//	held by another     tried again after AcquireInterval
//	renewal refused     the gated function's context ends, with ErrNotPrimary; tried again when it
//	                    has returned
//	storage is away     the same, before the lease can expire
//	forced              the next attempt takes the lease over from its recorded owner, who notices
//	                    at its next renewal
//
// Nobody releases the lease: other workers of the application hold it, too.
package applease
