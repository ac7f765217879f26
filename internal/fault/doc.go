// Package fault breaks the traffic with a storage account on purpose. A Transport stands between
// the SDK's retry policy and the network, picks requests by rules, and answers them, loses them or
// delays them as the service and the network do on a bad day.
//
// What each Fault does to a request:
//
//	             carried out   what the sender sees
//	Refused      no            no connection
//	Dropped      no            connection reset while sending
//	CutRequest   no            connection reset in the middle of the request's body
//	Slow         yes           the answer, late
//	SlowReply    yes           the answer, late, or none before its patience ends
//	LostReply    yes           connection reset instead of an answer
//	CutReply     yes           connection reset in the middle of the answer's body, if it has one
//	Busy         no            503 ServerBusy with Retry-After
//	Throttled    no            429 with Retry-After
//	TimedOut     no            500 OperationTimedOut
//	LateTimeout  yes           500 OperationTimedOut
//	Unmet        no            412, as if another writer had been quicker
//
// Answers have the form in which each service gives them; those to a transaction of a table come,
// as there, within an answer that is itself a success.
//
// A Transport counts what it does, so that a test can tell that it has tested something.
package fault
