package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/durafleet/durafleet/internal/run"
)

// echo listens and sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var group run.Group
	group.Go(context.WithoutCancel(t.Context()), "echo", func(ctx context.Context) {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(ctx, "echo", func(context.Context) {
				_, _ = io.Copy(connection, connection) // whatever ends it is the end
				connection.Close()
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		group.Wait()
	})
	return listener.Addr().String()
}

func dial(t *testing.T, address string) (net.Conn, error) {
	t.Helper()
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err == nil {
		t.Cleanup(func() { connection.Close() })
	}
	return connection, err
}

// ask sends a line and returns what comes back.
func ask(connection net.Conn, text string) error {
	if _, err := fmt.Fprintln(connection, text); err != nil {
		return err
	}
	answer, err := bufio.NewReader(connection).ReadString('\n')
	if err == nil && answer != text+"\n" {
		err = fmt.Errorf("answer %q", answer)
	}
	return err
}

func TestProxy(t *testing.T) {
	t.Parallel()
	p, err := newProxy(t.Context(), echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	first, err := dial(t, p.address)
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(first, "hello"); err != nil {
		t.Fatal(err)
	}
	p.cut()
	if err := ask(first, "still there?"); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a connection over a cut network: %v, want a broken one", err)
	}
	if _, err := dial(t, p.address); err == nil {
		t.Error("the cut network takes connections")
	}
	if err := p.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := dial(t, p.address)
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(second, "again"); err != nil {
		t.Error(err)
	}
}

func TestProxy_ServerAway(t *testing.T) {
	t.Parallel()
	port, err := freePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProxy(t.Context(), fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	connection, err := dial(t, p.address)
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(connection, "hello"); err == nil {
		t.Error("somebody answered")
	}
}
