package storagetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

var queueCases = []testCase{
	{name: "CreateTwice", run: func(s *scene) {
		s.must(s.Queues.CreateQueue(s.Context(), s.queue()))
	}},
	{name: "CreateKeepsMessages", run: func(s *scene) {
		q := s.queue()
		s.put(q, "a", 0)
		s.must(s.Queues.CreateQueue(s.Context(), q))
		s.count(q, 1)
	}},
	{name: "Missing", run: func(s *scene) {
		q, ctx := s.name(), s.Context()
		s.want(s.Queues.DeleteQueue(ctx, q), storage.ErrNotFound)
		_, err := s.Queues.Put(ctx, q, "a", 0)
		s.want(err, storage.ErrNotFound)
		_, err = s.Queues.Get(ctx, q, 1, time.Second)
		s.want(err, storage.ErrNotFound)
		_, err = s.Queues.Peek(ctx, q, 1)
		s.want(err, storage.ErrNotFound)
		_, err = s.Queues.Count(ctx, q)
		s.want(err, storage.ErrNotFound)
	}},
	{name: "DeleteWithMessages", run: func(s *scene) {
		q := s.queue()
		s.put(q, "a", 0)
		s.must(s.Queues.DeleteQueue(s.Context(), q))
		_, err := s.Queues.Peek(s.Context(), q, 1)
		s.want(err, storage.ErrNotFound)
	}},
	{name: "List", run: func(s *scene) {
		q := s.queue()
		for _, prefix := range []string{q, q[:len(q)-1], ""} {
			names, err := s.Queues.ListQueues(s.Context(), prefix)
			s.must(err)
			if !slices.Contains(names, q) {
				s.Errorf("ListQueues(%q) = %q, lacks %q", prefix, names, q)
			}
		}
		names, err := s.Queues.ListQueues(s.Context(), q+"-x")
		s.must(err)
		if len(names) != 0 {
			s.Errorf("ListQueues of another prefix = %q", names)
		}
	}},
	{name: "CanceledContext", run: func(s *scene) {
		q := s.queue()
		ctx, cancel := context.WithCancel(s.Context())
		cancel()
		_, err := s.Queues.Put(ctx, q, "a", 0)
		s.want(err, context.Canceled)
		_, err = s.Queues.Get(ctx, q, 1, time.Second)
		s.want(err, context.Canceled)
		s.count(q, 0)
	}},
}

func (s *scene) put(queue, text string, delay time.Duration) storage.Receipt {
	s.Helper()
	receipt, err := s.Queues.Put(s.Context(), queue, text, delay)
	s.must(err)
	return receipt
}

// take gets one message that must be there.
func (s *scene) take(queue string, visibility time.Duration) storage.Message {
	s.Helper()
	batch, err := s.Queues.Get(s.Context(), queue, 1, visibility)
	s.must(err)
	if len(batch.Messages) != 1 {
		s.Fatalf("got %d messages, want 1", len(batch.Messages))
	}
	return batch.Messages[0]
}

func (s *scene) none(queue string) {
	s.Helper()
	batch, err := s.Queues.Get(s.Context(), queue, 1, time.Second)
	s.must(err)
	if len(batch.Messages) != 0 {
		s.Fatalf("got message %+v, want none", batch.Messages[0])
	}
	s.near("Date of an empty batch", batch.Date, time.Now())
}

func (s *scene) count(queue string, want int) {
	s.Helper()
	n, err := s.Queues.Count(s.Context(), queue)
	s.must(err)
	if n != want {
		s.Errorf("Count = %d, want %d", n, want)
	}
}

// visible waits until a message is visible, without taking it.
func (s *scene) visible(queue string) {
	s.Helper()
	s.eventually("a visible message", func() bool {
		messages, err := s.Queues.Peek(s.Context(), queue, 1)
		s.must(err)
		return len(messages) == 1
	})
}

var queueRefusalCases = []testCase{
	{name: "Names", run: func(s *scene) {
		for _, name := range []string{"", "ab", "Upper", "a--b", "-ab", "ab-", "a_b", strings.Repeat("a", 64), "q/x"} {
			s.want(s.Queues.CreateQueue(s.Context(), name), storage.ErrInvalid)
			_, err := s.Queues.Put(s.Context(), name, "a", 0)
			s.want(err, storage.ErrInvalid)
		}
	}},
	{name: "TextSize", run: func(s *scene) {
		q := s.queue()
		full := strings.Repeat("é<", storage.MaxMessageBytes/3) + "a"
		r := s.put(q, full, 0)
		_, err := s.Queues.Put(s.Context(), q, full+"a", 0)
		s.want(err, storage.ErrTooLarge)
		_, err = s.Queues.Update(s.Context(), q, r.ID, r.PopReceipt, full+"a", 0)
		s.want(err, storage.ErrTooLarge)
		if m := s.take(q, time.Minute); m.Text != full {
			s.Error("a message of the largest size changed on its way")
		}
	}},
	{name: "TextOutsideXML", run: func(s *scene) {
		q := s.queue()
		for _, text := range []string{"\x00", "a\x01", "\x1f", "\ufffe", "\uffff", "\xff", "\xed\xa0\x80"} {
			_, err := s.Queues.Put(s.Context(), q, text, 0)
			s.want(err, storage.ErrInvalid)
		}
		s.count(q, 0)
	}},
	{name: "Limits", run: func(s *scene) {
		q, ctx := s.queue(), s.Context()
		for _, d := range []time.Duration{-time.Nanosecond, storage.MaxVisibility + 1} {
			_, err := s.Queues.Put(ctx, q, "a", d)
			s.want(err, storage.ErrInvalid)
			_, err = s.Queues.Update(ctx, q, "id", "receipt", "a", d)
			s.want(err, storage.ErrInvalid)
		}
		for _, d := range []time.Duration{0, time.Second - 1, storage.MaxVisibility + 1} {
			_, err := s.Queues.Get(ctx, q, 1, d)
			s.want(err, storage.ErrInvalid)
		}
		for _, n := range []int{0, -1, storage.MaxMessagesPerGet + 1} {
			_, err := s.Queues.Get(ctx, q, n, time.Second)
			s.want(err, storage.ErrInvalid)
			_, err = s.Queues.Peek(ctx, q, n)
			s.want(err, storage.ErrInvalid)
		}
	}},
}
