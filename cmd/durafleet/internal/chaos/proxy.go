package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// Ports are taken from below the range from which systems choose for outgoing connections: those
// could take a port while nobody listens, or even connect to themselves.
const (
	firstPort = 15_000
	ports     = 15_000
	portTries = 100
)

// listen listens on a port of 127.0.0.1 that is free.
func listen(ctx context.Context) (net.Listener, error) {
	var last error
	for range portTries {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(ports)))
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("find a free port: %w", last)
}

// freePort returns a port on which nobody listens.
func freePort(ctx context.Context) (int, error) {
	listener, err := listen(ctx)
	if err != nil {
		return 0, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

// proxy passes connections on to a server, until the network is cut.
type proxy struct {
	address string // of the proxy
	target  string // of the server

	group run.Group

	mu       sync.Mutex
	listener net.Listener // nil while the network is cut
	open     map[net.Conn]bool
}

// newProxy returns a proxy that passes connections on to target.
func newProxy(ctx context.Context, target string) (*proxy, error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	p := &proxy{address: listener.Addr().String(), target: target, open: map[net.Conn]bool{}}
	p.serve(ctx, listener)
	return p, nil
}

func (p *proxy) serve(ctx context.Context, listener net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener = listener
	p.group.Go(context.WithoutCancel(ctx), "chaos: proxy", func(ctx context.Context) {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // the network is cut
			}
			p.group.Go(ctx, "chaos: connection", func(ctx context.Context) { p.pass(ctx, listener, connection) })
		}
	})
}

// pass connects a client with the server until one of them ends the connection or it is cut.
func (p *proxy) pass(ctx context.Context, listener net.Listener, client net.Conn) {
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = client.Close() // the server is away, which its client learns so
		return
	}
	if !p.keep(listener, client, server) {
		return
	}
	var answers run.Group
	answers.Go(ctx, "chaos: answers", func(context.Context) {
		_, _ = io.Copy(client, server) // whatever ends it ends the connection
		p.drop(client, server)
	})
	_, _ = io.Copy(server, client) // as above
	p.drop(client, server)
	answers.Wait()
}

// keep makes connections known to cut. It closes them if the network was cut meanwhile.
func (p *proxy) keep(listener net.Listener, connections ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, connection := range connections {
		if p.listener != listener {
			reset(connection)
			continue
		}
		p.open[connection] = true
	}
	return p.listener == listener
}

func (p *proxy) drop(connections ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, connection := range connections {
		delete(p.open, connection)
		_ = connection.Close() // fails if it was closed before, which is as well
	}
}

// reset closes a connection so that its other end gets an error instead of an end.
func reset(connection net.Conn) {
	if tcp, is := connection.(*net.TCPConn); is {
		_ = tcp.SetLinger(0) // without it the end looks orderly, which is a lesser fault
	}
	_ = connection.Close() // as in drop
}

// cut breaks all connections and refuses new ones.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close() // a listener that is closed is what is wanted
		p.listener = nil
	}
	for connection := range p.open {
		reset(connection)
	}
	clear(p.open)
}

const (
	restorePause = 100 * time.Millisecond
	restoreTries = 100
)

// restore takes connections again, at the same address.
func (p *proxy) restore(ctx context.Context) error {
	for tries := 1; ; tries++ {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.address)
		if err == nil {
			p.serve(ctx, listener)
			return nil
		}
		// Somebody may hold the port for a moment.
		if tries == restoreTries || !run.Sleep(ctx, restorePause) {
			return fmt.Errorf("listen again: %w", err)
		}
	}
}

// close ends the proxy and everything that goes through it.
func (p *proxy) close() {
	p.cut()
	p.group.Wait()
}

// network is the proxies of the three services of an account.
type network struct{ blob, queue, table *proxy }

func newNetwork(ctx context.Context, blob, queue, table string) (*network, error) {
	n := &network{}
	for _, service := range []struct {
		proxy  **proxy
		target string
	}{{&n.blob, blob}, {&n.queue, queue}, {&n.table, table}} {
		p, err := newProxy(ctx, service.target)
		if err != nil {
			n.close()
			return nil, err
		}
		*service.proxy = p
	}
	return n, nil
}

func (n *network) each(f func(*proxy)) {
	for _, p := range []*proxy{n.blob, n.queue, n.table} {
		if p != nil {
			f(p)
		}
	}
}

func (n *network) cut() { n.each((*proxy).cut) }

func (n *network) close() { n.each((*proxy).close) }

func (n *network) restore(ctx context.Context) error {
	var err error
	n.each(func(p *proxy) { err = errors.Join(err, p.restore(ctx)) })
	return err
}
