package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/taskhub"
)

// ground is the account that a run takes place in. It is opened by one goroutine at a time.
type ground struct {
	connection string
	latency    time.Duration
	// ports, if set, are the account instead.
	ports *storage.Account
	// opened are the counts of all that was opened here.
	opened []*traffic
	// server is what is behind the connection if it was started for this run, else nil.
	server *azurite.Server
}

// launchGround starts an Azurite that nobody has used before: it gets slower with every request.
func launchGround(ctx context.Context, latency time.Duration, say func(string)) (*ground, error) {
	server, err := azurite.Launch(ctx, &azurite.Options{Progress: say})
	if err != nil {
		return nil, err
	}
	return &ground{connection: server.ConnectionString(), latency: latency, server: server}, nil
}

// sent returns how many requests this process has sent.
func (g *ground) sent() int64 {
	var sum int64
	for _, counts := range g.opened {
		sum += counts.sent.Load()
	}
	return sum
}

// close ends what was started for the run. Its data is in memory: there is nothing to save.
func (g *ground) close() {
	if g.server != nil {
		g.server.Kill()
	}
}

// open opens the account once more, with connections and counts of its own.
func (g *ground) open(hubName string) (storage.Account, *traffic, error) {
	names, err := wire.NewNames(hubName)
	if err != nil {
		return storage.Account{}, nil, err
	}
	counts := newTraffic(names)
	if g.ports != nil {
		return storage.WithHook(*g.ports, counts.hook), counts, nil
	}
	ports, err := azure.FromConnectionString(g.connection, &azure.Options{
		Meter: &counts.repeats, Transport: &transport{azure.NewTransport(), g.latency, counts},
	})
	if err != nil {
		return storage.Account{}, nil, err
	}
	g.opened = append(g.opened, counts)
	return storage.WithHook(ports, counts.hook), counts, nil
}

// openHub opens a hub of the account that exists.
func (g *ground) openHub(ctx context.Context, name string, opts *taskhub.Options) (*taskhub.Hub, *traffic, error) {
	ports, counts, err := g.open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("task hub %s: %w", name, err)
	}
	hub, err := taskhub.Open(ctx, taskhub.Ports(ports), name, opts)
	return hub, counts, err
}
