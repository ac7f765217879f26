package memory

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

// Store is a storage account in memory. It may be used concurrently.
type Store struct {
	mu         sync.Mutex
	queues     map[string]*queue
	tables     map[string]*table // by lower-case name
	containers map[string]*container
	serial     uint64 // source of ETags, message ids and pop receipts
}

// New returns an empty store.
func New() *Store {
	return &Store{
		queues:     map[string]*queue{},
		tables:     map[string]*table{},
		containers: map[string]*container{},
	}
}

// Account returns the ports of the store. All accounts of one store see the same data.
func (s *Store) Account() storage.Account {
	return storage.Account{Queues: queues{s}, Tables: tables{s}, Blobs: blobs{s}}
}

// lock takes the store for one request, unless ctx has ended already.
func (s *Store) lock(ctx context.Context, op storage.Kind, target string) error {
	if err := ctx.Err(); err != nil {
		return &storage.Error{Op: op, Target: target, Sentinel: err}
	}
	s.mu.Lock()
	return nil
}

// next returns a number that was not used before. The store must be locked.
func (s *Store) next() uint64 {
	s.serial++
	return s.serial
}

func notFound(op storage.Kind, target, code string) error {
	return &storage.Error{Op: op, Target: target, Sentinel: storage.ErrNotFound, Code: code}
}

// serverDate is the time as the service states it in its replies.
func serverDate() time.Time { return wholeSecond(time.Now()) }

func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// namesWith returns the names that begin with prefix in order.
func namesWith[V any](things map[string]V, prefix string) []string {
	var names []string
	for name := range things {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
