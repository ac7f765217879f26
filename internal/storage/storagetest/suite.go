// Package storagetest states what every storage account behind the ports of package storage must
// do. A bug found in one implementation becomes a case here.
package storagetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/internal/storage"
)

// Options says what an implementation cannot do.
type Options struct {
	// RealRules also demands the rules of the real service that Azurite is known to break.
	RealRules bool
	// Within runs the body of each case, for example in a bubble of virtual time. Default: just
	// call it.
	Within func(t *testing.T, body func(t *testing.T))
}

// Exercise runs the suite on accounts returned by open. They may be one and the same account: all
// names are unique, and tests run in parallel. A nil options means RealRules.
func Exercise(t *testing.T, open func(t *testing.T) storage.Account, options *Options) {
	t.Helper()
	if options == nil {
		options = &Options{RealRules: true}
	}
	within := options.Within
	if within == nil {
		within = func(t *testing.T, body func(t *testing.T)) { body(t) }
	}
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"Queue", queueCases},
		{"Message", messageCases},
		{"QueueRefuses", queueRefusalCases},
		{"Table", tableCases},
		{"Row", rowCases},
		{"RowRefuses", rowRefusalCases},
		{"Query", queryCases},
		{"Transact", transactCases},
		{"Container", containerCases},
		{"Blob", blobCases},
		{"Lease", leaseCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					if c.real && !options.RealRules {
						t.Skip("a rule of the real service that this implementation breaks")
					}
					within(t, func(t *testing.T) { c.run(&scene{T: t, Account: open(t)}) })
				})
			}
		})
	}
}

// testCase is one rule. It is skipped without RealRules if real is set.
type testCase struct {
	name string
	real bool
	run  func(s *scene)
}

// scene is what a case works with.
type scene struct {
	*testing.T
	storage.Account
}

// deadline is how long a case waits for something that needs real time.
const deadline = 20 * time.Second

// name returns a name that no other case uses and that queues, tables and containers can have.
func (s *scene) name() string {
	return "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
}

func (s *scene) queue() string {
	s.Helper()
	name := s.name()
	s.must(s.Queues.CreateQueue(s.Context(), name))
	s.Cleanup(func() { _ = s.Queues.DeleteQueue(context.Background(), name) }) // the case may have deleted it
	return name
}

func (s *scene) table() string {
	s.Helper()
	name := s.name()
	s.must(s.Tables.CreateTable(s.Context(), name))
	s.Cleanup(func() { _ = s.Tables.DeleteTable(context.Background(), name) }) // the case may have deleted it
	return name
}

func (s *scene) container() string {
	s.Helper()
	name := s.name()
	s.must(s.Blobs.CreateContainer(s.Context(), name))
	s.Cleanup(func() { _ = s.Blobs.DeleteContainer(context.Background(), name) }) // it may be leased or gone
	return name
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("unexpected error: %v", err)
	}
}

// want checks that err is a *storage.Error of the sentinel that is not ambiguous and names its target.
func (s *scene) want(err, sentinel error) {
	s.Helper()
	var failure *storage.Error
	if !errors.Is(err, sentinel) || !errors.As(err, &failure) {
		s.Fatalf("error %v (%T), want %v", err, err, sentinel)
	}
	if failure.Ambiguous {
		s.Errorf("error %v is ambiguous", err)
	}
	if failure.Op == "" {
		s.Errorf("error %v names no operation", err)
	}
}

// eventually waits until done returns true.
func (s *scene) eventually(what string, done func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.Fatalf("waited %v in vain for %s", deadline, what)
		}
	}
}

// near checks that a time stated by the service is close to the local clock.
func (s *scene) near(what string, got, want time.Time) {
	s.Helper()
	if d := got.Sub(want).Abs(); d > 5*time.Second {
		s.Errorf("%s = %v, want about %v", what, got, want)
	}
	if got.Location() != time.UTC {
		s.Errorf("%s is not in UTC: %v", what, got)
	}
}
