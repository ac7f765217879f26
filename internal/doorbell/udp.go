package doorbell

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// UDP is the network of this machine.
func UDP() Network { return udp{} }

type udp struct{}

// Listen implements Network.
func (udp) Listen(ctx context.Context, address string) (Conn, error) {
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	return &udpConn{conn.(*net.UDPConn)}, nil //nolint:forcetypeassert // what it returns for udp
}

// Send implements Network. A socket of its own for every ring leaves nothing behind that anybody would have
// to close.
func (udp) Send(to netip.AddrPort, datagram []byte) error {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return err
	}
	_, err = conn.Write(datagram)
	return errors.Join(err, conn.Close())
}

// Lookup implements Network. IPv4 is preferred: more networks carry it.
func (udp) Lookup(ctx context.Context, host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, ip := range found {
		if ip.Unmap().Is4() {
			return ip.Unmap(), nil
		}
	}
	if len(found) == 0 {
		return netip.Addr{}, fmt.Errorf("host %q has no address", host)
	}
	return found[0], nil
}

// Toward implements Network. It sends nothing: to connect a UDP socket only chooses its address.
func (u udp) Toward(ctx context.Context, host string) (netip.Addr, error) {
	ip, err := u.Lookup(ctx, host)
	if err != nil {
		return netip.Addr{}, err
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 443)))
	if err != nil {
		return netip.Addr{}, err
	}
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr() //nolint:forcetypeassert // what it returns for udp
	return local.Unmap(), conn.Close()
}

type udpConn struct{ conn *net.UDPConn }

// Receive implements Conn.
func (c *udpConn) Receive(buffer []byte, deadline time.Time) (int, error) {
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return 0, ErrClosed
	}
	n, _, err := c.conn.ReadFromUDPAddrPort(buffer)
	switch {
	case errors.Is(err, net.ErrClosed):
		return 0, ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, ErrTimeout
	}
	return n, err
}

// At implements Conn.
func (c *udpConn) At() netip.AddrPort {
	at := c.conn.LocalAddr().(*net.UDPAddr).AddrPort() //nolint:forcetypeassert // what it returns for udp
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// Close implements Conn.
func (c *udpConn) Close() error { return c.conn.Close() }
