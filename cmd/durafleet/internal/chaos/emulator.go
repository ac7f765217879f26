package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/run"
)

// emulator is Azurite, with its data in a directory, behind a network that can be cut.
type emulator struct {
	network *network
	// fail ends the run when Azurite ends and nobody made it.
	fail context.CancelCauseFunc

	group run.Group

	mu      sync.Mutex
	server  *azurite.Server
	stopped bool // on purpose
}

// launchEmulator starts Azurite on a directory. With its data in memory it could not be restarted,
// and after some ten thousand messages it would answer nobody for a minute while it sweeps them.
func launchEmulator(ctx context.Context, dir string, progress func(string), fail context.CancelCauseFunc) (*emulator, error) {
	options := &azurite.Options{Location: dir, Progress: progress}
	for _, port := range []*int{&options.BlobPort, &options.QueuePort, &options.TablePort} {
		free, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		*port = free
	}
	server, err := azurite.Launch(ctx, options)
	if err != nil {
		return nil, err
	}
	e := &emulator{fail: fail, server: server}
	var hosts [3]string
	for i, text := range []string{server.BlobURL(), server.QueueURL(), server.TableURL()} {
		parsed, err := url.Parse(text)
		if err != nil {
			server.Kill()
			return nil, fmt.Errorf("where Azurite listens: %w", err)
		}
		hosts[i] = parsed.Host
	}
	if e.network, err = newNetwork(ctx, hosts[0], hosts[1], hosts[2]); err != nil {
		server.Kill()
		return nil, err
	}
	e.watch(ctx, server)
	return e, nil
}

// connection returns a connection string that leads through the network.
func (e *emulator) connection() string {
	url := func(p *proxy) string { return "http://" + p.address + "/" + azurite.AccountName }
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s;QueueEndpoint=%s;TableEndpoint=%s",
		azurite.AccountName, azurite.AccountKey, url(e.network.blob), url(e.network.queue), url(e.network.table))
}

// watch fails the run if the server ends by itself.
func (e *emulator) watch(ctx context.Context, server *azurite.Server) {
	e.group.Go(context.WithoutCancel(ctx), "chaos: watch azurite", func(context.Context) {
		<-server.Done()
		e.mu.Lock()
		defer e.mu.Unlock()
		if !e.stopped {
			e.fail(errors.New("azurite ended by itself" + server.LastOutput()))
		}
	})
}

// ending returns the server that is going to be ended on purpose.
func (e *emulator) ending() *azurite.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	return e.server
}

// stop cuts the network and ends Azurite in order: it saves everything.
func (e *emulator) stop(context.Context) error {
	e.network.cut()
	e.ending().Stop()
	return nil
}

// crash cuts the network, waits until Azurite has saved what it acknowledged, and kills it.
func (e *emulator) crash(ctx context.Context) error {
	e.network.cut()
	server := e.ending()
	if err := server.AwaitSaved(ctx); err != nil {
		return err
	}
	server.Kill()
	return nil
}

// relaunch starts Azurite again and restores the network.
func (e *emulator) relaunch(ctx context.Context) error {
	server, err := e.ending().Relaunch(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.server, e.stopped = server, false
	e.mu.Unlock()
	e.watch(ctx, server)
	return e.network.restore(ctx)
}

// close ends everything. Nothing is worth saving any more.
func (e *emulator) close() {
	e.network.close()
	e.ending().Kill()
	e.group.Wait()
}
