// Package azure implements the storage ports on an Azure Storage account or Azurite.
//
// Queues and blobs use the Azure SDK's clients. Tables use the SDK's pipeline with requests of our
// own, for four reasons found in the SDK's table client: it decodes numbers in a way that loses
// the difference between Int32 and Double, it does not hand out the ETags of a transaction, it
// does not double the quotes of keys within transactions, and it decodes and encodes every row twice.
//
// # Lost replies
//
// A request whose reply is lost may have taken effect, and the SDK sends it again: the repetition
// then meets its own change and is answered with a conflict. So the transport notes for each call
// whether a try remained without a clear answer, and a failure after such a try is Ambiguous.
package azure
