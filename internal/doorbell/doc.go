// Package doorbell lets a process that has put a message into a queue wake the one that reads the queue,
// so that it need not poll often to be quick.
//
// Whoever is to be woken has a Bell: it listens for small UDP datagrams and publishes its Address where
// only members of the fleet can read it. The Address holds a random secret; a datagram without it is
// ignored. Whoever has news has a Ringer: it learns addresses and sends datagrams to them.
//
// # What a ring is worth
//
// Nothing depends on a ring. A datagram says that it may be worth looking at something now, and carries
// nothing that is to be looked at. One that is lost costs the time until the next look; one that is
// repeated, delayed or forged by somebody who has seen the secret costs a look, and looks are limited by the
// Bell: what comes faster than that is merged.
//
// # The datagram
//
//	bytes   what
//	0-3     "DFR1"
//	4-19    the secret of the Bell that is rung
//	20      the Topic
//	21-     for News: the name of the queue; else nothing
package doorbell
