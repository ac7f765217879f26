package doorbell

import (
	"context"
	"net/netip"
	"time"
)

// Network carries datagrams. Its methods may be called concurrently.
type Network interface {
	// Listen begins to receive at an address of this machine, host:port, where an empty host means every
	// address and port 0 any free one.
	Listen(ctx context.Context, address string) (Conn, error)
	// Send sends one datagram. It does not wait for anybody; that it returns nil does not mean that the
	// datagram arrives.
	Send(to netip.AddrPort, datagram []byte) error
	// Lookup returns the IP address of a host.
	Lookup(ctx context.Context, host string) (netip.Addr, error)
	// Toward returns the address of this machine from which it would speak to a host.
	Toward(ctx context.Context, host string) (netip.Addr, error)
}

// Conn receives datagrams. Receive is called by one goroutine at a time, Close by any.
type Conn interface {
	// Receive waits for a datagram until deadline, which is none if it is zero. What does not fit into the
	// buffer is cut off. The error is ErrTimeout, or ErrClosed once the Conn is closed, or of the network.
	Receive(buffer []byte, deadline time.Time) (int, error)
	// At returns where it listens; the IP address may be unspecified.
	At() netip.AddrPort
	// Close makes Receive return. It may be repeated.
	Close() error
}
