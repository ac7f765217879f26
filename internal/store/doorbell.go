package store

import (
	"context"
	"fmt"
	"net/url"

	"github.com/durafleet/durafleet/internal/doorbell"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// Doorbells returns how the owners of control queues can be woken, by queue, in one request. Queues whose
// owner cannot be woken, or that have none, are left out.
func (h *Hub) Doorbells(ctx context.Context) (map[string]string, error) {
	ctx = storage.WithTally(storage.WithCause(ctx, storage.CauseRing), nil) // it is not for one instance
	rows, _, err := storage.All(ctx, h.Account.Tables, h.Names.PartitionsTable(), storage.Query{
		Columns: []string{"RowKey", wire.DoorbellColumn},
	})
	if err != nil {
		return nil, fmt.Errorf("look up doorbells: %w", err)
	}
	published := map[string]string{}
	for _, row := range rows {
		if text, _ := row.Values[wire.DoorbellColumn].(string); text != "" {
			published[row.RowKey] = text
		}
	}
	return published, nil
}

// NewRinger returns what rings the owners of the hub's queues, but not the Bell of the secret self. It looks
// addresses up by itself if lookup is set.
func (h *Hub) NewRinger(self doorbell.Secret, lookup bool) *doorbell.Ringer {
	var source func(ctx context.Context) (map[string]string, error)
	if lookup {
		source = h.Doorbells
	}
	return doorbell.NewRinger(h.options.Environment.Network, self, source)
}

// NewSecret returns a secret that nobody can guess.
func (h *Hub) NewSecret() doorbell.Secret { return h.options.Environment.NewSecret() }

// OpenBell opens a Bell for news about the hub's queues.
func (h *Hub) OpenBell(ctx context.Context, secret doorbell.Secret, listen, advertise string) (*doorbell.Bell, error) {
	queues := make([]string, h.Partitions)
	for i := range queues {
		queues[i] = h.Names.ControlQueue(i)
	}
	toward := ""
	if parsed, err := url.Parse(h.Account.Blobs.ContainerURL("")); err == nil {
		toward = parsed.Hostname() // the one host that all of the fleet speak to
	}
	return doorbell.Listen(ctx, &doorbell.Options{
		Network: h.options.Environment.Network, Secret: secret, Queues: queues,
		Listen: listen, Advertise: advertise, Toward: toward,
	})
}
