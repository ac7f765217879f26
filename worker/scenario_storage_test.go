package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/activity"
	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
	"github.com/durafleet/durafleet/worker"
)

var (
	stoEcho = orchestration.Declare[string, string]("StoEcho")
	stoWork = activity.Declare[string, string]("StoWork")
	stoWait = orchestration.Declare[string, string]("StoWait")
	stoEnd  = orchestration.DeclareEvent[string]("End")
)

// stoBindings echo through an activity, or wait for an event that says how to end.
func stoBindings() []worker.Binding {
	return []worker.Binding{
		stoWork.With(func(_ context.Context, in string) (string, error) { return in, nil }),
		stoEcho.With(func(ctx *orchestration.Context, in string) (string, error) {
			return orchestration.CallActivity(ctx, stoWork, in).Await()
		}),
		stoWait.With(func(ctx *orchestration.Context, in string) (string, error) {
			end, err := orchestration.WaitForEvent(ctx, stoEnd).Await()
			if err == nil && end == "fail" {
				err = errors.New("told to fail")
			}
			return in + " " + end, err
		}),
	}
}

// D05: an id is free again after completion, failure and termination; the new history takes the
// old one's place.
func TestStorage_Recreate_D05(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, stoBindings()...)
		executions := map[string]bool{}
		for i, end := range []string{"complete", "fail", "terminate", "complete"} {
			in := fmt.Sprintf("run %d", i)
			instance := launch(t, w, stoWait, in, taskhub.InstanceID("re-used"))
			if end == "terminate" {
				check(t, w.Client.Terminate(w.Context(), "re-used", "enough"))
			} else {
				raise(t, w, "re-used", stoEnd, end)
			}
			status := endOf(t, w, "re-used")
			executions[status.ExecutionID] = true
			if status.ExecutionID != instance.ExecutionID() || string(status.Input) != `"`+in+`"` {
				t.Errorf("run %d: execution %s, input %s", i, status.ExecutionID, status.Input)
			}
			if end == "complete" && string(status.Output) != `"`+in+` complete"` {
				t.Errorf("run %d: output %s", i, status.Output)
			}
			w.DrainedWithin(soon)
			for _, e := range eventsOf(t, w, "re-used") {
				if started, ok := e.(*history.ExecutionStarted); ok && *started.Input != `"`+in+`"` {
					t.Errorf("run %d: the history begins with input %s", i, *started.Input)
				}
			}
			if counts := kinds(eventsOf(t, w, "re-used")); counts[history.KindExecutionStarted] != 1 || counts[history.KindExecutionCompleted] != 1 {
				t.Errorf("run %d: the history holds %v", i, counts)
			}
		}
		if len(executions) != 4 {
			t.Errorf("the executions are %v", executions)
		}
	})
}

// D07: a second start of a running id is refused and leaves the first one as it was.
func TestStorage_RunningDuplicate_D07(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, stoBindings()...)
		first := launch(t, w, stoWait, "first", taskhub.InstanceID("only-one"))
		reach(t, w, "only-one", history.Running)
		_, err := taskhub.Start(w.Context(), w.Client, stoWait, "second", taskhub.InstanceID("only-one"))
		var exists *taskhub.ExistsError
		if !errors.As(err, &exists) || exists.Status != history.Running {
			t.Errorf("the second start: %v", err)
		}
		if s := statusOf(t, w, "only-one"); s.Status != history.Running || string(s.Input) != `"first"` || s.ExecutionID != first.ExecutionID() {
			t.Errorf("the instance is %s with input %s", s.Status, s.Input)
		}
		raise(t, w, "only-one", stoEnd, "done")
		if got := resultOf(t, w, first); got != "first done" {
			t.Errorf("the result is %q", got)
		}
	})
}

// P01: a purge removes history and status; the second one finds nothing.
func TestStorage_Purge_P01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, stoBindings()...)
		instance := launch(t, w, stoEcho, "x")
		resultOf(t, w, instance)
		w.DrainedWithin(soon)
		check(t, w.Client.Purge(w.Context(), instance.ID()))
		if rows := w.HistoryRows(instance.ID()); len(rows) > 0 {
			t.Errorf("%d history rows are left", len(rows))
		}
		if _, err := w.Client.Get(w.Context(), instance.ID()); !errors.Is(err, taskhub.ErrNotFound) {
			t.Errorf("the status after the purge: %v", err)
		}
		if err := w.Client.Purge(w.Context(), instance.ID()); !errors.Is(err, taskhub.ErrNotFound) {
			t.Errorf("the second purge: %v", err)
		}
	})
}

// P02: a running instance is not purged and goes on unharmed.
func TestStorage_PurgeRunning_P02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, stoBindings()...)
		instance := launch(t, w, stoWait, "alive")
		reach(t, w, instance.ID(), history.Running)
		if err := w.Client.Purge(w.Context(), instance.ID()); !errors.Is(err, taskhub.ErrLive) {
			t.Errorf("the purge: %v", err)
		}
		raise(t, w, instance.ID(), stoEnd, "well")
		if got := resultOf(t, w, instance); got != "alive well" {
			t.Errorf("the result is %q", got)
		}
	})
}

// P03: payloads in blobs are purged with their instance, and no others.
func TestStorage_PurgeBlobs_P03(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, stoBindings()...)
		blobsOf := func(id string) int {
			return len(slices.DeleteFunc(w.Blobs(), func(name string) bool { return !strings.HasPrefix(name, id+"/") }))
		}
		first := launch(t, w, stoEcho, incompressible(70<<10), taskhub.InstanceID("large"))
		second := launch(t, w, stoEcho, incompressible(128<<10), taskhub.InstanceID("larger"))
		resultOf(t, w, first)
		resultOf(t, w, second)
		w.DrainedWithin(soon)
		if blobsOf("large") == 0 || blobsOf("larger") == 0 {
			t.Fatalf("the blobs are %q", w.Blobs())
		}
		others := blobsOf("larger")
		check(t, w.Client.Purge(w.Context(), "large"))
		if blobsOf("large") != 0 || blobsOf("larger") != others {
			t.Errorf("blobs left after the first purge: %q", w.Blobs())
		}
		check(t, w.Client.Purge(w.Context(), "larger"))
		if left := w.Blobs(); len(left) > 0 {
			t.Errorf("blobs left: %q", left)
		}
	})
}

// Q01: a query by status tells running from completed instances.
func TestStorage_QueryByStatus_Q01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, stoBindings()...)
		want := map[history.Status][]string{}
		for range 3 {
			running, done := launch(t, w, stoWait, ""), launch(t, w, stoEcho, "")
			reach(t, w, running.ID(), history.Running)
			resultOf(t, w, done)
			want[history.Running] = append(want[history.Running], running.ID())
			want[history.Completed] = append(want[history.Completed], done.ID())
		}
		for status, ids := range want {
			slices.Sort(ids)
			var got []string
			for s, err := range w.Client.All(w.Context(), taskhub.Query{Statuses: []history.Status{status}}) {
				check(t, err)
				got = append(got, s.InstanceID)
			}
			slices.Sort(got)
			if !slices.Equal(got, ids) {
				t.Errorf("%s: %q, want %q", status, got, ids)
			}
		}
	})
}

// queueTexts returns the texts of all visible messages.
func queueTexts(t *testing.T, w *fleettest.World) []string {
	t.Helper()
	var texts []string
	for _, queue := range w.Queues() {
		messages, err := w.Account.Queues.Peek(w.Context(), queue, storage.MaxMessagesPerGet)
		check(t, err)
		for _, m := range messages {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// Z01: large inputs and outputs pass unharmed; the queue holds a pointer, the blob is compressed.
func TestStorage_LargePayload_Z01(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		for _, size := range []int{128 << 10, 826 << 10} {
			in := incompressible(size)
			instance := launch(t, w, stoEcho, in)
			texts := queueTexts(t, w)
			if len(texts) != 1 || len(texts[0]) > 1000 || !strings.Contains(texts[0], `"CompressedBlobName":"`+instance.ID()) {
				t.Fatalf("the queue holds %.300q", texts)
			}
			data, err := w.Account.Blobs.GetBlob(w.Context(), w.Hub.Store().Names.LargeMessages(), w.Blobs()[0], 0)
			check(t, err)
			if len(data) >= size {
				t.Errorf("the blob has %d bytes for a text of %d", len(data), size)
			}
			member := w.Start(nil, stoBindings()...)
			if got := resultOf(t, w, instance); got != in {
				t.Errorf("%d bytes came back as %d others", len(in), len(got))
			}
			w.DrainedWithin(soon)
			check(t, w.Client.Purge(w.Context(), instance.ID()))
			check(t, member.Stop())
		}
	})
}

// Z02: queues count in UTF-8, tables in UTF-16; a text may be too large for either one alone.
func TestStorage_TwoLimits_Z02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, stoBindings()...)
		for _, in := range []string{strings.Repeat("世", 25_000), strings.Repeat("a", 32*1024), strings.Repeat("x", 44_000)} {
			instance := launch(t, w, stoEcho, in)
			if got := resultOf(t, w, instance); got != in {
				t.Errorf("%d bytes came back as %d others", len(in), len(got))
			}
			if got := string(statusOf(t, w, instance.ID()).Input); got != `"`+in+`"` {
				t.Errorf("the input of %d bytes shows as %.80q", len(in), got)
			}
		}
	})
}

// Z04: the blobs of an instance with an awkward id are found again.
func TestStorage_AwkwardID_Z04(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		w.Start(nil, stoBindings()...)
		const id = "a|b:c d |"
		in := incompressible(100 << 10)
		if got := resultOf(t, w, launch(t, w, stoEcho, in, taskhub.InstanceID(id))); got != in {
			t.Errorf("%d bytes came back as %d others", len(in), len(got))
		}
		w.DrainedWithin(soon)
		check(t, w.Client.Purge(w.Context(), id))
		if left := w.Blobs(); len(left) > 0 {
			t.Errorf("blobs left: %q", left)
		}
	})
}

// Z05: a payload that looks like a URL is a payload, and nothing is fetched for it.
func TestStorage_LooksLikeURL_Z05(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		failing := orchestration.Declare[string, string]("StoFailing")
		w.Start(nil, append(stoBindings(),
			failing.With(func(_ *orchestration.Context, in string) (string, error) { return "", errors.New(in) }))...)
		for _, url := range []string{"https://example.org/container/blob", "http://127.0.0.1:10000/devstoreaccount1/x-largemessages/y", "urn:x"} {
			instance := launch(t, w, stoEcho, url)
			if got := resultOf(t, w, instance); got != url {
				t.Errorf("%q came back as %q", url, got)
			}
			if got := string(statusOf(t, w, instance.ID()).Input); got != `"`+url+`"` {
				t.Errorf("the input %q shows as %s", url, got)
			}
			failed := launch(t, w, failing, url)
			if end := endOf(t, w, failed.ID()); end.Status != history.Failed || !strings.Contains(end.Failure, url) {
				t.Errorf("the failure %q shows as %q", url, end.Failure)
			}
			waiting := launch(t, w, stoWait, "")
			check(t, w.Client.Terminate(w.Context(), waiting.ID(), url))
			if end := endOf(t, w, waiting.ID()); strings.TrimPrefix(end.Reason, " ") != url {
				t.Errorf("the reason %q shows as %q", url, end.Reason)
			}
		}
		if blobs := w.Blobs(); len(blobs) > 0 {
			t.Errorf("blobs were written: %q", blobs)
		}
	})
}

// Z09: small payloads need no blob.
func TestStorage_SmallStaysInline_Z09(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		member := w.Start(&worker.Options{NoHealthReports: true}, stoBindings()...)
		resultOf(t, w, launch(t, w, stoEcho, strings.Repeat("s", 10_000)))
		if blobs := w.Blobs(); len(blobs) > 0 {
			t.Errorf("blobs were written: %q", blobs)
		}
		if puts := member.Hub.Requests()[string(storage.BlobPut)]; puts > 1 { // the application lease
			t.Errorf("%d blobs were written", puts)
		}
	})
}

// M02: random ids spread over the partitions, and each instance has a table partition of its own.
func TestStorage_Spread_M02(t *testing.T) {
	t.Parallel()
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		perQueue := map[int]int{}
		var all []*taskhub.Instance[string]
		for range 50 {
			instance := launch(t, w, stoEcho, "")
			all = append(all, instance)
			perQueue[w.Hub.PartitionOf(instance.ID())]++
		}
		for i := range w.Hub.Partitions() {
			n, err := w.Account.Queues.Count(w.Context(), w.Hub.Store().Names.ControlQueue(i))
			check(t, err)
			if n == 0 || n != perQueue[i] {
				t.Errorf("control queue %d holds %d messages, %d instances belong there", i, n, perQueue[i])
			}
		}
		w.Start(nil, stoBindings()...)
		for _, instance := range all {
			resultOf(t, w, instance)
		}
		rows, _, err := storage.All(w.Context(), w.Account.Tables, w.Hub.Store().Names.HistoryTable(), storage.Query{})
		check(t, err)
		partitions := map[string]bool{}
		for _, row := range rows {
			partitions[row.PartitionKey] = true
		}
		if len(partitions) != 50 {
			t.Errorf("the history has %d table partitions", len(partitions))
		}
	})
}

// F01: what cannot be read is put back with growing delays and holds nobody up.
func TestStorage_Garbage_F01(t *testing.T) {
	t.Parallel()
	garbage := []string{
		"not JSON", "", "{}", "[]", `{"TaskMessage":{"Event":{"$type":"X.Unknown, X","EventType":99}}}`,
		`{"$type":"DurableTask.AzureStorage.MessageData","ActivityId":"x","TaskMessage":null,"CompressedBlobName":null}`,
		wire.EncodePointer("no/such-blob.json.gz"), "\u0001 \x7f", "bm90IEpTT04=",
	}
	fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
		queues, sent := w.Queues(), 0
		for _, queue := range queues {
			for _, text := range garbage {
				if _, err := w.Account.Queues.Put(w.Context(), queue, text, 0); err == nil {
					sent++
				}
			}
		}
		member := w.Start(quietOptions(), stoBindings()...)
		resultOf(t, w, launch(t, w, stoEcho, "as if nothing were wrong"))
		<-time.After(20 * time.Minute)
		before := member.Hub.Requests()[string(storage.QueueUpdate)]
		<-time.After(time.Hour)
		updates := member.Hub.Requests()[string(storage.QueueUpdate)] - before
		if left := w.MessagesLeft(); left != sent {
			t.Errorf("%d of %d messages are left; nothing may be thrown away", left, sent)
		}
		if limit := int64(sent) * 7; updates > limit || updates == 0 {
			t.Errorf("%d messages were put back %d times in an hour", sent, updates)
		}
		resultOf(t, w, launch(t, w, stoEcho, "still fine"))
	})
}

// startRaw starts an instance as a client does that does not care about its id.
func startRaw(t *testing.T, w *fleettest.World, name, id, input string) history.Instance {
	t.Helper()
	self := history.Instance{InstanceID: id, ExecutionID: w.Hub.Store().NewID("test")}
	now := wire.Ticks(time.Now())
	generation := int32(0)
	check(t, w.Hub.Store().CreateInstance(w.Context(), wire.Instance{
		InstanceID: id, ExecutionID: self.ExecutionID, Name: name, Input: &input, Created: now, LastUpdated: now,
		TaskHubName: w.Hub.Name(),
	}, ""))
	w.Put(&wire.Message{
		Event: &history.ExecutionStarted{
			Header: history.Header{EventID: history.NoEventID, Timestamp: now}, Instance: self, Name: name,
			Input: &input, Generation: &generation,
		},
		Target: self,
	}, 0)
	return self
}

// F04: an instance runs under any id that a peer may give it.
func TestStorage_OddIDs_F04(t *testing.T) {
	t.Parallel()
	ids := []string{
		"a/b", `a\b`, "a#b", "a?b", "100%", "a^b", "^", "it's", `"quoted"`, "tab\there", "line\nbreak", "\x01\x1f",
		"\x7f\u0080\u009f", "zero\x00", "last\uFFFFend", "世界 😀", " ", "a%2Fb", "a&b=c;d", "<id>",
	}
	if key := wire.EscapeKey(""); key != "" || wire.UnescapeKey("") != "" {
		t.Errorf("the key of the empty id, which no message can name, is %q", key)
	}
	fleettest.Each(t, func(t *testing.T, w *fleettest.World) {
		for _, id := range ids {
			if key := wire.EscapeKey(id); wire.UnescapeKey(key) != id || strings.ContainsAny(key, "/\\#?\x00\x01\x1f\t\n\x7f") {
				t.Errorf("the key of %q is %q", id, key)
			}
			startRaw(t, w, "StoEcho", id, `"of `+fmt.Sprintf("%x", id)+`"`)
		}
		w.Start(nil, stoBindings()...)
		for _, id := range ids {
			var row wire.Instance
			w.Eventually(soon, fmt.Sprintf("the instance %q has ended", id), func() bool {
				in, err := w.Hub.Store().ReadInstance(w.Context(), id, true)
				check(t, err)
				row = in.Instance
				return row.Status.Terminal()
			})
			if row.Status != history.Completed || *row.Output != `"of `+fmt.Sprintf("%x", id)+`"` {
				t.Errorf("the instance %q is %s with %q", id, row.Status, *row.Output)
			}
		}
		w.DrainedWithin(soon)
	})
}

// A row that cannot be read concerns its own instance only: its messages are put back, and go on
// when the row is put right.
func TestStorage_UnreadableRow(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"History", "Instances"} {
		t.Run(table, func(t *testing.T) {
			fleettest.EachVirtual(t, func(t *testing.T, w *fleettest.World) {
				var out lockedBuffer
				first := w.Start(nil, stoBindings()...)
				broken := launch(t, w, stoWait, "broken", taskhub.InstanceID("broken"))
				reach(t, w, "broken", history.Running)
				check(t, first.Stop())
				name, rowKey, column, right := w.Hub.Store().Names.HistoryTable(), wire.RowKey(1), "EventId", any(int32(-1))
				if table == "Instances" {
					name, rowKey, column, right = w.Hub.Store().Names.InstancesTable(), "", "Generation", any(int32(0))
				}
				w.MergeRow(name, "broken", rowKey, map[string]any{column: "a text"})
				raised := &wire.Message{
					Event: &history.EventRaised{
						Header: history.Header{EventID: history.NoEventID, Timestamp: time.Now()}, Name: "End", Input: history.Text(`"whole"`),
					},
					Target: history.Instance{InstanceID: "broken"},
				}
				w.Put(raised, 0)
				w.Start(logTo(&out), stoBindings()...)
				resultOf(t, w, launch(t, w, stoEcho, "fine"))
				<-time.After(10 * time.Minute)
				resultOf(t, w, launch(t, w, stoEcho, "fine"))
				if left := w.MessagesLeft(); left != 1 || out.count("broken") == 0 {
					t.Errorf("%d messages are left; logged: %s", left, &out.buf)
				}
				w.MergeRow(name, "broken", rowKey, map[string]any{column: right})
				if got, err := broken.Wait(w.Timeout(time.Hour)); err != nil || got != "broken whole" {
					t.Errorf("the end is %q, %v", got, err)
				}
			})
		})
	}
}
