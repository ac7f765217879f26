package storagetest

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/durafleet/durafleet/internal/storage"
)

var containerCases = []testCase{
	{name: "CreateTwice", run: func(s *scene) {
		s.must(s.Blobs.CreateContainer(s.Context(), s.container()))
	}},
	{name: "Missing", run: func(s *scene) {
		c, ctx := s.name(), s.Context()
		s.want(s.Blobs.DeleteContainer(ctx, c), storage.ErrNotFound)
		s.want(s.Blobs.PutBlob(ctx, c, "b", nil, false), storage.ErrNotFound)
		_, err := s.Blobs.GetBlob(ctx, c, "b", 0)
		s.want(err, storage.ErrNotFound)
		s.want(s.Blobs.DeleteBlob(ctx, c, "b"), storage.ErrNotFound)
		_, err = s.Blobs.ListBlobs(ctx, c, "")
		s.want(err, storage.ErrNotFound)
		s.want(s.Blobs.AcquireLease(ctx, c, uuid.NewString(), 15*time.Second), storage.ErrNotFound)
	}},
	{name: "List", run: func(s *scene) {
		c := s.container()
		names, err := s.Blobs.ListContainers(s.Context(), c[:len(c)-1])
		s.must(err)
		if !slices.Equal(names, []string{c}) {
			s.Errorf("ListContainers = %q, want %q", names, c)
		}
	}},
	{name: "DeleteWithBlobs", run: func(s *scene) {
		c := s.container()
		s.must(s.Blobs.PutBlob(s.Context(), c, "b", []byte("x"), false))
		s.must(s.Blobs.DeleteContainer(s.Context(), c))
		_, err := s.Blobs.GetBlob(s.Context(), c, "b", 0)
		s.want(err, storage.ErrNotFound)
	}},
	{name: "Names", run: func(s *scene) {
		for _, name := range []string{"", "ab", "Upper", "a--b", "a_b", strings.Repeat("a", 64)} {
			s.want(s.Blobs.CreateContainer(s.Context(), name), storage.ErrInvalid)
		}
	}},
	{name: "URL", run: func(s *scene) {
		location := s.Blobs.ContainerURL("some-container")
		parsed, err := url.Parse(location)
		s.must(err)
		if parsed.Host == "" || parsed.RawQuery != "" || !strings.HasSuffix(parsed.Path, "/some-container") {
			s.Errorf("ContainerURL = %q", location)
		}
	}},
	{name: "CanceledContext", run: func(s *scene) {
		c := s.container()
		ctx, cancel := context.WithCancel(s.Context())
		cancel()
		s.want(s.Blobs.PutBlob(ctx, c, "b", nil, false), context.Canceled)
		s.want(s.Blobs.AcquireLease(ctx, c, uuid.NewString(), 15*time.Second), context.Canceled)
	}},
}

var blobCases = []testCase{
	{name: "RoundTrip", run: func(s *scene) {
		c := s.container()
		large := bytes.Repeat([]byte{0, 1, 2, 255}, 1<<18)
		for _, data := range [][]byte{{}, []byte("x"), large} {
			s.must(s.Blobs.PutBlob(s.Context(), c, "dir/b", data, false))
			got, err := s.Blobs.GetBlob(s.Context(), c, "dir/b", 0)
			s.must(err)
			if !bytes.Equal(got, data) {
				s.Errorf("blob of %d bytes came back with %d", len(data), len(got))
			}
		}
	}},
	{name: "OnlyNew", run: func(s *scene) {
		c := s.container()
		s.must(s.Blobs.PutBlob(s.Context(), c, "b", []byte("1"), true))
		s.want(s.Blobs.PutBlob(s.Context(), c, "b", []byte("2"), true), storage.ErrExists)
		got, err := s.Blobs.GetBlob(s.Context(), c, "b", 0)
		s.must(err)
		if string(got) != "1" {
			s.Errorf("content %q", got)
		}
	}},
	{name: "Limit", run: func(s *scene) {
		c := s.container()
		s.must(s.Blobs.PutBlob(s.Context(), c, "b", []byte("123"), false))
		_, err := s.Blobs.GetBlob(s.Context(), c, "b", 3)
		s.must(err)
		_, err = s.Blobs.GetBlob(s.Context(), c, "b", 2)
		s.want(err, storage.ErrTooLarge)
	}},
	{name: "Time", run: func(s *scene) {
		c := s.container()
		_, err := s.Blobs.BlobTime(s.Context(), c, "dir/b")
		s.want(err, storage.ErrNotFound)
		_, err = s.Blobs.BlobTime(s.Context(), s.name(), "b")
		s.want(err, storage.ErrNotFound)
		before := time.Now()
		s.must(s.Blobs.PutBlob(s.Context(), c, "dir/b", []byte("1"), false))
		written, err := s.Blobs.BlobTime(s.Context(), c, "dir/b")
		s.must(err)
		if written.Nanosecond() != 0 || written.Before(before.Add(-2*time.Second)) || written.After(time.Now()) {
			s.Errorf("written at %v", written)
		}
	}},
	{name: "MissingAndDeleted", run: func(s *scene) {
		c := s.container()
		_, err := s.Blobs.GetBlob(s.Context(), c, "b", 0)
		s.want(err, storage.ErrNotFound)
		s.want(s.Blobs.DeleteBlob(s.Context(), c, "b"), storage.ErrNotFound)
		s.must(s.Blobs.PutBlob(s.Context(), c, "b", []byte("123"), false))
		s.must(s.Blobs.DeleteBlob(s.Context(), c, "b"))
		_, err = s.Blobs.GetBlob(s.Context(), c, "b", 0)
		s.want(err, storage.ErrNotFound)
	}},
	{name: "OddNames", run: func(s *scene) {
		c := s.container()
		names := []string{"a b", "a%20b", "a?b#c", "@x", "a+b", "it's", "漢字/😀", "a//b", "<&>", "a=b&c"}
		for _, name := range names {
			s.must(s.Blobs.PutBlob(s.Context(), c, name, []byte(name), true))
			got, err := s.Blobs.GetBlob(s.Context(), c, name, 0)
			s.must(err)
			if string(got) != name {
				s.Errorf("blob %q holds %q", name, got)
			}
		}
		got, err := s.Blobs.ListBlobs(s.Context(), c, "")
		s.must(err)
		slices.Sort(names)
		slices.Sort(got)
		if !slices.Equal(got, names) {
			s.Errorf("ListBlobs = %q, want %q", got, names)
		}
	}},
	{name: "ListByPrefix", run: func(s *scene) {
		c := s.container()
		for _, name := range []string{"a/1", "a/2", "b/1"} {
			s.must(s.Blobs.PutBlob(s.Context(), c, name, nil, false))
		}
		got, err := s.Blobs.ListBlobs(s.Context(), c, "a/")
		s.must(err)
		if !slices.Equal(got, []string{"a/1", "a/2"}) {
			s.Errorf("ListBlobs = %q", got)
		}
	}},
	{name: "DataIsCopied", run: func(s *scene) {
		c, data := s.container(), []byte("1")
		s.must(s.Blobs.PutBlob(s.Context(), c, "b", data, false))
		data[0] = '2'
		got, err := s.Blobs.GetBlob(s.Context(), c, "b", 0)
		s.must(err)
		if string(got) != "1" {
			s.Errorf("content %q", got)
		}
	}},
}

var leaseCases = []testCase{
	{name: "ExcludesOthers", run: func(s *scene) {
		c, ctx, mine, other := s.container(), s.Context(), uuid.NewString(), uuid.NewString()
		s.must(s.Blobs.AcquireLease(ctx, c, mine, 15*time.Second))
		s.must(s.Blobs.AcquireLease(ctx, c, mine, 60*time.Second))
		s.must(s.Blobs.RenewLease(ctx, c, mine))
		s.want(s.Blobs.AcquireLease(ctx, c, other, 15*time.Second), storage.ErrLeaseHeld)
		s.lost(s.Blobs.RenewLease(ctx, c, other))
		s.lost(s.Blobs.ReleaseLease(ctx, c, other))
		s.must(s.Blobs.ReleaseLease(ctx, c, mine))
		s.must(s.Blobs.AcquireLease(ctx, c, other, 15*time.Second))
		s.lost(s.Blobs.RenewLease(ctx, c, mine))
		s.must(s.Blobs.ReleaseLease(ctx, c, other))
		s.lost(s.Blobs.RenewLease(ctx, c, other))
	}},
	{name: "Change", run: func(s *scene) {
		c, ctx, mine, other := s.container(), s.Context(), uuid.NewString(), uuid.NewString()
		s.want(s.Blobs.ChangeLease(ctx, c, mine, other), storage.ErrLeaseHeld)
		s.must(s.Blobs.AcquireLease(ctx, c, mine, 15*time.Second))
		s.want(s.Blobs.ChangeLease(ctx, c, uuid.NewString(), uuid.NewString()), storage.ErrLeaseHeld)
		s.must(s.Blobs.ChangeLease(ctx, c, mine, other))
		s.lost(s.Blobs.RenewLease(ctx, c, mine))
		s.must(s.Blobs.RenewLease(ctx, c, other))
		s.must(s.Blobs.ReleaseLease(ctx, c, other))
	}},
	{name: "ProtectsContainer", run: func(s *scene) {
		c, ctx, mine := s.container(), s.Context(), uuid.NewString()
		s.must(s.Blobs.AcquireLease(ctx, c, mine, 15*time.Second))
		s.lost(s.Blobs.DeleteContainer(ctx, c))
		s.must(s.Blobs.PutBlob(ctx, c, "b", nil, false))
		s.must(s.Blobs.ReleaseLease(ctx, c, mine))
		s.must(s.Blobs.DeleteContainer(ctx, c))
	}},
	{name: "Expires", run: func(s *scene) {
		c, ctx, mine, other := s.container(), s.Context(), uuid.NewString(), uuid.NewString()
		s.must(s.Blobs.AcquireLease(ctx, c, mine, 15*time.Second))
		start := time.Now()
		s.eventually("the lease to expire", func() bool {
			err := s.Blobs.AcquireLease(ctx, c, other, 15*time.Second)
			if err != nil {
				s.want(err, storage.ErrLeaseHeld)
			}
			return err == nil
		})
		if held := time.Since(start); held < 13*time.Second {
			s.Errorf("lease of 15 s was lost after %v", held)
		}
		s.lost(s.Blobs.RenewLease(ctx, c, mine))
		s.must(s.Blobs.ReleaseLease(ctx, c, other))
	}},
	{name: "Refuses", run: func(s *scene) {
		c, ctx, id := s.container(), s.Context(), uuid.NewString()
		for _, d := range []time.Duration{0, 15*time.Second - 1, 61 * time.Second} {
			s.want(s.Blobs.AcquireLease(ctx, c, id, d), storage.ErrInvalid)
		}
		s.want(s.Blobs.AcquireLease(ctx, c, "no guid", 15*time.Second), storage.ErrInvalid)
		s.want(s.Blobs.RenewLease(ctx, c, ""), storage.ErrInvalid)
		s.want(s.Blobs.ChangeLease(ctx, c, id, "no guid"), storage.ErrInvalid)
	}},
}

// lost checks that err is one of the two ways in which a lease is said to be another's.
func (s *scene) lost(err error) {
	s.Helper()
	if errors.Is(err, storage.ErrPrecondition) {
		s.want(err, storage.ErrPrecondition)
		return
	}
	s.want(err, storage.ErrLeaseHeld)
}
