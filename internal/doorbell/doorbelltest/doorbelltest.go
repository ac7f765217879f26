// Package doorbelltest is a network for tests: datagrams go through memory, and nobody waits for a machine.
package doorbelltest

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/durafleet/durafleet/internal/doorbell"
)

// Network carries datagrams between those who listen at it. All have the same IP address, and each a port
// of its own.
type Network struct {
	// Drop, if set, decides about each datagram whether it is lost. It is set before the first use.
	Drop func(to netip.AddrPort, datagram []byte) bool

	mu    sync.Mutex
	port  uint16
	conns map[netip.AddrPort]*conn
	sent  int
}

var (
	_ doorbell.Network = (*Network)(nil)
	_ doorbell.Conn    = (*conn)(nil)
)

// Sent returns how many datagrams were sent.
func (n *Network) Sent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

var home = netip.MustParseAddr("10.0.0.1")

// Listen implements doorbell.Network. The address does not matter.
func (n *Network) Listen(context.Context, string) (doorbell.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns == nil {
		n.conns = map[netip.AddrPort]*conn{}
	}
	n.port++
	c := &conn{
		of: n, at: netip.AddrPortFrom(home, n.port), arrived: make(chan []byte, inbox), closed: make(chan struct{}),
	}
	n.conns[c.at] = c
	return c, nil
}

// inbox is how many datagrams wait at most; more are lost.
const inbox = 100

// Send implements doorbell.Network.
func (n *Network) Send(to netip.AddrPort, datagram []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent++
	c := n.conns[to]
	if c == nil || n.Drop != nil && n.Drop(to, datagram) {
		return nil
	}
	select {
	case c.arrived <- append([]byte(nil), datagram...):
	default:
	}
	return nil
}

// Lookup implements doorbell.Network.
func (n *Network) Lookup(_ context.Context, host string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return ip, fmt.Errorf("host %q is unknown", host)
	}
	return ip, nil
}

// Toward implements doorbell.Network.
func (n *Network) Toward(context.Context, string) (netip.Addr, error) { return home, nil }

type conn struct {
	of      *Network
	at      netip.AddrPort
	arrived chan []byte
	closed  chan struct{}
}

// Receive implements doorbell.Conn.
func (c *conn) Receive(buffer []byte, deadline time.Time) (int, error) {
	var due <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		due = timer.C
	}
	// One after the other, so that chance decides nothing.
	select {
	case <-c.closed:
		return 0, doorbell.ErrClosed
	default:
	}
	select {
	case datagram := <-c.arrived:
		return copy(buffer, datagram), nil
	default:
	}
	select {
	case datagram := <-c.arrived:
		return copy(buffer, datagram), nil
	case <-due:
		return 0, doorbell.ErrTimeout
	case <-c.closed:
		return 0, doorbell.ErrClosed
	}
}

// At implements doorbell.Conn.
func (c *conn) At() netip.AddrPort { return c.at }

// Close implements doorbell.Conn.
func (c *conn) Close() error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.of.conns[c.at] == c {
		delete(c.of.conns, c.at)
		close(c.closed)
	}
	return nil
}
