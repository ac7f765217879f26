// Package bench measures what the engine does with a storage account, and what the account can do at all.
//
// A run starts workers, as processes of their own or in this one, lets them do the work of a scenario and
// counts every storage request by its kind. The counts of the workers and of the client are what the
// engine needs. Kept apart are what an idle fleet sends, too (polls that find nothing, the sharing of
// partitions, health reports), and the reads by which the bench itself waits.
//
// A run begins when the workers have shared the partitions out and have done the scenario once in small,
// so that connections and containers are there. It ends when every instance has ended, with the right
// result, and every queue is empty: what the engine does in the background counts.
//
// The floor is what the same account does with a fixed mix of raw requests, those that the scenario cannot do
// without, at the same concurrency and with no engine at all.
package bench
