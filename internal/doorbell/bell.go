package doorbell

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// Options configures Listen. Network, Secret and Queues are required.
type Options struct {
	Network Network
	Secret  Secret
	// Queues are the control queues that there may be news about.
	Queues []string
	// Listen is where to listen, host:port. An empty host means every address of this machine, port 0 any
	// free one. Default ":0".
	Listen string
	// Advertise is the host, or host:port, at which others reach the Bell, where that is not where it
	// listens. A name is looked up once. Default: the host of Listen if it is one, else the address from
	// which this machine speaks to Toward.
	Advertise string
	// Toward is a host that everybody speaks to.
	Toward string
}

// DefaultListen is where a Bell listens by default.
const DefaultListen = ":0"

// CheckOptions reports what is wrong with the texts of the options.
func CheckOptions(listen, advertise string) error {
	if _, _, err := splitPort(cmp.Or(listen, DefaultListen), true); err != nil {
		return fmt.Errorf("the address to listen at is %q; it must be host:port or :port", listen)
	}
	if advertise == "" {
		return nil
	}
	host, _, err := splitPort(advertise, false)
	if err != nil || host == "" {
		return fmt.Errorf("the advertised address is %q; it must be a host or host:port", advertise)
	}
	if ip, err := netip.ParseAddr(host); err == nil && !usable(netip.AddrPortFrom(ip, 1)) {
		return fmt.Errorf("the advertised address is %q; nobody can be reached there", advertise)
	}
	return nil
}

// splitPort splits host:port. Without a port, if that is allowed, it is 0.
func splitPort(text string, portNeeded bool) (host string, port uint16, err error) {
	host, digits, err := net.SplitHostPort(text)
	if err != nil && !portNeeded {
		if ip, err := netip.ParseAddr(text); err == nil {
			return ip.String(), 0, nil
		}
		host, digits, err = net.SplitHostPort(text + ":0")
	}
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return host, uint16(n), err
}

// Bell is rung by others.
type Bell struct {
	conn    Conn
	address Address
	limit   limiter
	counts  struct{ answered, merged, refused atomic.Int64 }
}

// Counts says what has become of the datagrams that have arrived.
type Counts struct {
	// Answered led to a look. Merged ones came too fast, and led to one look together later. Refused ones
	// were malformed, did not know the secret, or were about something unknown.
	Answered, Merged, Refused int64
}

// Listen opens a Bell. Nothing is answered before Serve; whoever does not call that calls Close.
func Listen(ctx context.Context, opts *Options) (*Bell, error) {
	listen := cmp.Or(opts.Listen, DefaultListen)
	if err := CheckOptions(listen, opts.Advertise); err != nil {
		return nil, fmt.Errorf("doorbell: %w", err)
	}
	conn, err := opts.Network.Listen(ctx, listen)
	if err != nil {
		return nil, fmt.Errorf("doorbell: listen at %s: %w", listen, err)
	}
	at, err := opts.advertised(ctx, conn.At())
	if err == nil && !usable(at) {
		err = fmt.Errorf("nobody can be reached at %v", at)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("doorbell: find the own address: %w", err), conn.Close())
	}
	return &Bell{conn: conn, address: Address{at, opts.Secret}, limit: newLimiter(opts.Queues, time.Now())}, nil
}

// advertised returns where others reach what listens at a place.
func (o *Options) advertised(ctx context.Context, at netip.AddrPort) (netip.AddrPort, error) {
	if o.Advertise != "" {
		host, port, err := splitPort(o.Advertise, false)
		if err != nil {
			return at, err
		}
		ip, err := o.Network.Lookup(ctx, host)
		return netip.AddrPortFrom(ip, cmp.Or(port, at.Port())), err
	}
	if !at.Addr().IsUnspecified() {
		return at, nil
	}
	ip, err := o.Network.Toward(ctx, o.Toward)
	return netip.AddrPortFrom(ip, at.Port()), err
}

// Address is what those have to know who are to ring.
func (b *Bell) Address() Address { return b.address }

// Counts returns what has become of the datagrams so far. It may be called by anyone.
func (b *Bell) Counts() Counts {
	return Counts{b.counts.answered.Load(), b.counts.merged.Load(), b.counts.refused.Load()}
}

// Close closes a Bell that is not served. It may be repeated.
func (b *Bell) Close() error { return b.conn.Close() }

// Serve calls answer for rings until ctx ends, and closes the Bell. answer must return quickly.
func (b *Bell) Serve(ctx context.Context, answer func(Ring)) {
	var closing run.Group
	over, end := context.WithCancel(ctx)
	closing.Go(over, "doorbell: close", func(ctx context.Context) {
		<-ctx.Done()
		run.Resume(ctx)
		_ = b.conn.Close() // nothing is lost with it
	})
	buffer := make([]byte, maxDatagram+1) // what fills it is too long
	for failures := 0; ctx.Err() == nil; {
		n, err := b.conn.Receive(buffer, b.deadline())
		run.Resume(ctx)
		switch {
		case err == nil:
			failures = 0
			b.take(buffer[:n], answer)
		case errors.Is(err, ErrTimeout):
		case ctx.Err() != nil || errors.Is(err, ErrClosed):
			end()
		default:
			failures++ // such as the report that an earlier datagram found nobody
			b.counts.refused.Add(1)
			run.Sleep(ctx, run.Backoff(failures, time.Millisecond, time.Second))
		}
		if over.Err() != nil {
			break
		}
		b.catchUp(answer)
	}
	end()
	closing.Wait()
}

// deadline returns when the next ring is due that is owed, zero if none is.
func (b *Bell) deadline() time.Time {
	if owed := b.limit.owed(); owed != nil {
		return owed.next()
	}
	return time.Time{}
}

func (b *Bell) take(datagram []byte, answer func(Ring)) {
	secret, ring, err := decode(datagram)
	if err != nil || !secret.is(b.address.Secret) {
		b.counts.refused.Add(1)
		return
	}
	switch about := b.limit.of(ring); {
	case about == nil:
		b.counts.refused.Add(1)
	case about.take(time.Now()):
		b.counts.answered.Add(1)
		answer(ring)
	default:
		b.counts.merged.Add(1)
	}
}

// catchUp answers what is owed and due.
func (b *Bell) catchUp(answer func(Ring)) {
	for now := time.Now(); ; {
		owed := b.limit.owed()
		if owed == nil || owed.next().After(now) || !owed.take(now) {
			return
		}
		b.counts.answered.Add(1)
		answer(owed.ring)
	}
}
