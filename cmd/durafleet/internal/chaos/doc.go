// Package chaos runs a fleet of real worker processes on a real Azurite, breaks what can be broken
// while a steady stream of instances runs, and checks afterwards that nothing shows.
//
// # What runs
//
// Azurite keeps its data in a directory. Workers and client reach it through a proxy in this
// process, which can cut the network. The workers are processes of this same program.
//
// # What breaks
//
// Workers are killed, frozen for longer than their lease, and restarted one after the other. The
// network is cut: connections break in the middle of requests, and new ones are refused. Azurite is
// stopped or killed and started again on the same data and ports. It saves what it has acknowledged
// only every 5 s, so killing it at any moment loses acknowledged writes, which no engine survives:
// here the network is cut first, so that what was under way is torn off, and the kill waits for
// Azurite's save. The real service loses nothing that it has acknowledged.
//
// # What is checked
//
// Every instance ends as it has to and returns what it has to; every event that was accepted is
// seen exactly once; histories are whole; queues run empty; and after a purge of everything no row,
// no message and no payload blob is left. How long the fleet needs after each fault is measured by
// the work that the fault hit, see recovery.
package chaos
