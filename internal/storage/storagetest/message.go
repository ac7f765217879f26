package storagetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/storage"
)

var messageCases = []testCase{
	{name: "TextIsKept", run: messageTextIsKept},
	{name: "WideText", run: func(s *scene) {
		q := s.queue()
		wide := strings.Repeat("😀漢é", storage.MaxMessageBytes/9)
		for range 5 {
			s.put(q, wide, 0)
			if m := s.take(q, time.Minute); m.Text != wide {
				s.Error("text of wide characters changed on its way")
			}
		}
	}},
	{name: "PutAndGet", run: messagePutAndGet},
	{name: "Peek", run: messagePeek},
	{name: "BatchOf32", run: messageBatch},
	{name: "DelayedPut", run: func(s *scene) {
		q := s.queue()
		start := time.Now()
		s.put(q, "a", 1001*time.Millisecond) // rounded up to 2 s
		s.none(q)
		s.count(q, 1)
		s.visible(q)
		if waited := time.Since(start); waited < 1001*time.Millisecond {
			s.Errorf("visible after %v", waited)
		}
		s.take(q, time.Second)
	}},
	{name: "LongestDelay", run: func(s *scene) {
		q := s.queue()
		r := s.put(q, "a", storage.MaxVisibility)
		s.near("NextVisible", r.NextVisible, time.Now().Add(storage.MaxVisibility))
		s.none(q)
		s.must(s.Queues.Delete(s.Context(), q, r.ID, r.PopReceipt))
	}},
	{name: "ReceiptOfPut", run: func(s *scene) {
		q := s.queue()
		hidden := s.put(q, "a", time.Minute)
		s.must(s.Queues.Delete(s.Context(), q, hidden.ID, hidden.PopReceipt))
		seen := s.put(q, "b", time.Second)
		s.visible(q)
		s.must(s.Queues.Delete(s.Context(), q, seen.ID, seen.PopReceipt))
		s.count(q, 0)
	}},
	{name: "ReceiptOfPutAfterDequeue", run: func(s *scene) {
		q := s.queue()
		r := s.put(q, "a", 0)
		m := s.take(q, time.Minute)
		s.want(s.Queues.Delete(s.Context(), q, r.ID, r.PopReceipt), storage.ErrReceipt)
		_, err := s.Queues.Update(s.Context(), q, r.ID, r.PopReceipt, "b", 0)
		s.want(err, storage.ErrReceipt)
		s.must(s.Queues.Delete(s.Context(), q, m.ID, m.PopReceipt))
	}},
	{name: "LapsedReceipt", run: func(s *scene) {
		q := s.queue()
		s.put(q, "a", 0)
		m := s.take(q, time.Second)
		s.visible(q)
		s.must(s.Queues.Delete(s.Context(), q, m.ID, m.PopReceipt))
	}},
	{name: "StaleReceipt", run: func(s *scene) {
		q := s.queue()
		s.put(q, "a", 0)
		first := s.take(q, time.Second)
		s.visible(q)
		second := s.take(q, time.Minute)
		if second.ID != first.ID || second.DequeueCount != 2 {
			s.Errorf("second dequeue: %+v after %+v", second, first)
		}
		s.want(s.Queues.Delete(s.Context(), q, first.ID, first.PopReceipt), storage.ErrReceipt)
		s.must(s.Queues.Delete(s.Context(), q, second.ID, second.PopReceipt))
	}},
	{name: "Gone", run: func(s *scene) {
		q := s.queue()
		r := s.put(q, "a", 0)
		s.must(s.Queues.Delete(s.Context(), q, r.ID, r.PopReceipt))
		s.want(s.Queues.Delete(s.Context(), q, r.ID, r.PopReceipt), storage.ErrNotFound)
		_, err := s.Queues.Update(s.Context(), q, r.ID, r.PopReceipt, "a", 0)
		s.want(err, storage.ErrNotFound)
	}},
	{name: "UpdateTextAndVisibility", run: messageUpdate},
	{name: "UpdateHidesLonger", run: func(s *scene) {
		q := s.queue()
		s.put(q, "a", 0)
		m := s.take(q, time.Second)
		r, err := s.Queues.Update(s.Context(), q, m.ID, m.PopReceipt, m.Text, time.Hour)
		s.must(err)
		s.near("NextVisible", r.NextVisible, time.Now().Add(time.Hour))
		s.none(q)
		s.must(s.Queues.Delete(s.Context(), q, r.ID, r.PopReceipt))
	}},
}

func messageTextIsKept(s *scene) {
	q := s.queue()
	texts := []string{
		"", " ", "plain", `{"$type":"x","a":"b\\c"}`, "<a>&amp;</a>", "it's \"quoted\"", "tab\tline\nfeed",
		"carriage\r\nreturn\r", "del\x7f c1\u0085\u009f", "emoji 😀 ñ 漢字 \ufffd", "\u2028\u2029", " leading and trailing ",
		"\ufeffmark", "]]>", "a%20b+c",
	}
	for _, text := range texts {
		s.put(q, text, 0)
		m := s.take(q, time.Minute)
		if m.Text != text {
			s.Errorf("text %q came back as %q", text, m.Text)
		}
		r, err := s.Queues.Update(s.Context(), q, m.ID, m.PopReceipt, text+"2", 0)
		s.must(err)
		if m = s.take(q, time.Minute); m.Text != text+"2" {
			s.Errorf("updated text %q came back as %q", text+"2", m.Text)
		}
		s.must(s.Queues.Delete(s.Context(), q, r.ID, m.PopReceipt))
	}
}

func messagePutAndGet(s *scene) {
	q := s.queue()
	r := s.put(q, "a", 0)
	if r.ID == "" || r.PopReceipt == "" {
		s.Fatalf("receipt of a put: %+v", r)
	}
	s.near("NextVisible of a put", r.NextVisible, time.Now())
	batch, err := s.Queues.Get(s.Context(), q, 32, 30*time.Second)
	s.must(err)
	if len(batch.Messages) != 1 {
		s.Fatalf("got %d messages", len(batch.Messages))
	}
	m := batch.Messages[0]
	if m.ID != r.ID || m.Text != "a" || m.DequeueCount != 1 || m.PopReceipt == "" || m.PopReceipt == r.PopReceipt {
		s.Errorf("message %+v after receipt %+v", m, r)
	}
	s.near("InsertedOn", m.InsertedOn, time.Now())
	s.near("NextVisible", m.NextVisible, time.Now().Add(30*time.Second))
	s.near("Date", batch.Date, time.Now())
	for what, at := range map[string]time.Time{"InsertedOn": m.InsertedOn, "Date": batch.Date} {
		if at.Nanosecond() != 0 {
			s.Errorf("%s = %v, want whole seconds", what, at)
		}
	}
	s.none(q)
	s.count(q, 1)
}

func messagePeek(s *scene) {
	q := s.queue()
	s.put(q, "a", 0)
	s.put(q, "hidden", time.Minute)
	for range 2 {
		messages, err := s.Queues.Peek(s.Context(), q, 32)
		s.must(err)
		if len(messages) != 1 || messages[0].Text != "a" || messages[0].DequeueCount != 0 || messages[0].PopReceipt != "" {
			s.Errorf("Peek = %+v", messages)
		}
	}
	s.count(q, 2)
	if m := s.take(q, time.Minute); m.Text != "a" {
		s.Errorf("took %+v after peeking", m)
	}
}

func messageBatch(s *scene) {
	q := s.queue()
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprintf("%02d", i))
		s.put(q, want[i], 0)
	}
	var got []string
	for _, size := range []int{32, 8, 0} {
		batch, err := s.Queues.Get(s.Context(), q, 32, time.Minute)
		s.must(err)
		if len(batch.Messages) != size {
			s.Errorf("batch of %d messages, want %d", len(batch.Messages), size)
		}
		for _, m := range batch.Messages {
			got = append(got, m.Text)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		s.Errorf("messages %q, want %q", got, want)
	}
}

func messageUpdate(s *scene) {
	q := s.queue()
	put := s.put(q, "a", time.Minute)
	r, err := s.Queues.Update(s.Context(), q, put.ID, put.PopReceipt, "b", 0)
	s.must(err)
	if r.ID != put.ID || r.PopReceipt == "" {
		s.Errorf("receipt of an update: %+v", r)
	}
	// A message made visible keeps its receipt until somebody takes it.
	s.visible(q)
	r, err = s.Queues.Update(s.Context(), q, r.ID, r.PopReceipt, "c", 0)
	s.must(err)
	m := s.take(q, time.Minute)
	if m.ID != put.ID || m.Text != "c" || m.DequeueCount != 1 {
		s.Errorf("updated message: %+v", m)
	}
	_, err = s.Queues.Update(s.Context(), q, r.ID, r.PopReceipt, "d", 0)
	s.want(err, storage.ErrReceipt)
}
