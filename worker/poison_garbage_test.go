package worker_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durafleet/durafleet/history"
	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
	"github.com/durafleet/durafleet/orchestration"
	"github.com/durafleet/durafleet/taskhub"
)

var poisonNotes = orchestration.Declare[struct{}, int]("PoisonNotes")

// logBook is a log that several goroutines write.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var _ io.Writer = (*logBook)(nil)

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// rawMessage returns a queue text with an event made of the given JSON members.
func rawMessage(members string) string {
	return `{"$type":"DurableTask.AzureStorage.MessageData","ActivityId":"4f4e2b9c-1c26-4b3f-a7a4-2f9c1d7e8b05",` +
		`"TaskMessage":{"$type":"DurableTask.Core.TaskMessage","Event":{` + members + `},"SequenceNumber":0,` +
		`"OrchestrationInstance":{"$type":"DurableTask.Core.OrchestrationInstance","InstanceId":"bad","ExecutionId":null}},` +
		`"CompressedBlobName":null,"SequenceNumber":5,"Sender":{"InstanceId":"","ExecutionId":""},"SerializableTraceContext":null}`
}

// garbage are queue texts that nobody can work on, by name.
func garbage(t *testing.T, w *fleettest.World) map[string]string {
	t.Helper()
	const raised = `"$type":"DurableTask.Core.History.EventRaisedEvent","Name":"Number"`
	st := w.Hub.Store()
	check(t, w.Account.Blobs.CreateContainer(w.Context(), st.Names.LargeMessages()))
	blob := func(name string, data []byte) string {
		check(t, w.Account.Blobs.PutBlob(w.Context(), st.Names.LargeMessages(), name, data, false))
		return wire.EncodePointer(name)
	}
	packed, err := wire.Compress(rawMessage(raised + `,"Input":"1"`))
	check(t, err)
	bomb, err := wire.Compress(strings.Repeat(" ", 65<<20))
	check(t, err)
	nested, err := wire.Compress(wire.EncodePointer("bad/message-1-EventRaised.json.gz"))
	check(t, err)
	return map[string]string{
		"empty": "", "blank": "  ", "text": "garbage", "Base64 of text": wire.Base64("garbage"),
		"Base64 of bytes": wire.Base64("\x00\xff\x1f\x8b"), "null": "null", "array": "[]", "empty object": "{}",
		"no event":             `{"TaskMessage":{}}`,
		"null event":           `{"TaskMessage":{"Event":null,"OrchestrationInstance":null}}`,
		"message as array":     `{"TaskMessage":[]}`,
		"event without type":   rawMessage(`"Name":"Number"`),
		"unknown type":         rawMessage(`"$type":"DurableTask.Core.History.NoveltyEvent"`),
		"other class":          rawMessage(`"$type":"System.IO.FileInfo, System.IO","EventType":null`),
		"never a message":      rawMessage(`"$type":"DurableTask.Core.History.ExecutionRewoundEvent"`),
		"an end as message":    rawMessage(`"$type":"DurableTask.Core.History.ExecutionCompletedEvent","OrchestrationStatus":1`),
		"no instance":          strings.ReplaceAll(rawMessage(raised), `"InstanceId":"bad"`, `"InstanceId":null`),
		"huge number":          rawMessage(`"$type":"DurableTask.Core.History.TaskCompletedEvent","TaskScheduledId":1e999`),
		"large number":         rawMessage(`"$type":"DurableTask.Core.History.TaskCompletedEvent","TaskScheduledId":99999999999999999999`),
		"bad time":             rawMessage(raised + `,"Timestamp":"yesterday"`),
		"object for a text":    rawMessage(raised + `,"Input":{"a":1}`),
		"deep nesting":         rawMessage(raised + `,"Input":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)),
		"start without name":   rawMessage(`"$type":"DurableTask.Core.History.ExecutionStartedEvent"`),
		"cut off":              rawMessage(raised)[:100],
		"pointer to nothing":   wire.EncodePointer("bad/message-0-EventRaised.json.gz"),
		"pointer to a cut one": blob("bad/message-2-EventRaised.json.gz", packed[:len(packed)/2]),
		"pointer to no gzip":   blob("bad/message-3-EventRaised.json.gz", []byte("garbage")),
		"pointer to a pointer": blob("bad/message-4-EventRaised.json.gz", nested),
		"pointer to a bomb":    blob("bad/message-5-EventRaised.json.gz", bomb),
	}
}

// Whatever stands in a queue, the worker lives, others finish as if nothing was there, and the
// garbage ends up, exactly as it was, where people can see it and why.
func TestPoison_GarbageInQueues(t *testing.T) {
	t.Parallel()
	fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) {
		log := &logBook{}
		options := logTo(log)
		options.MaxPollInterval = 15 * time.Second
		var runs atomic.Int64
		member := w.Start(options, append(crashBindings(&runs), ctlCollect.With(collectNumbers))...)
		var collecting []*taskhub.Instance[[]int]
		for i := range 8 {
			instance := launch(t, w, ctlCollect, 1, taskhub.InstanceID(fmt.Sprint("collect-", i)))
			reach(t, w, instance.ID(), history.Running)
			collecting = append(collecting, instance)
		}
		// The instance of all of it; else a pointer to nothing would be taken for what a purge left.
		bad := launch(t, w, ctlCollect, 1, taskhub.InstanceID("bad"))
		reach(t, w, bad.ID(), history.Running)
		names := w.Hub.Store().Names
		all := garbage(t, w)
		want := map[string]string{}
		for name, text := range all {
			for _, queue := range w.Queues() {
				w.PutText(queue, text)
			}
			want[text] = name
		}
		for queue, texts := range map[string][]string{
			// In the wrong kind of queue.
			names.ControlQueue(0): {rawMessage(`"$type":"DurableTask.Core.History.TaskScheduledEvent","Name":"CrashWork"`)},
			names.WorkItemQueue(): {
				rawMessage(`"$type":"DurableTask.Core.History.EventRaisedEvent","Name":"Number"`),
				rawMessage(`"$type":"DurableTask.Core.History.TaskScheduledEvent"`),
			},
		} {
			for _, text := range texts {
				w.PutText(queue, text)
				want[text] = "misplaced"
			}
		}
		began := time.Now()
		for i, instance := range collecting {
			raise(t, w, instance.ID(), ctlNumber, i)
		}
		for _, instance := range collecting {
			resultOf(t, w, instance)
		}
		launched := launch(t, w, crashChain, 3)
		resultOf(t, w, launched)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the others took %v", took)
		}
		w.DrainedWithin(6 * time.Hour)
		list := poisonList(t, w)
		if n := len(all)*5 + 3; len(list) != min(n, 100) || member.Stats().Poisoned != int64(n) {
			t.Errorf("%d listed, %d moved, want %d", len(list), member.Stats().Poisoned, n)
		}
		logged := log.String()
		for p, err := range w.Client.AllPoison(w.Context(), taskhub.PoisonQuery{}) {
			check(t, err)
			if p.Deliveries != 20 || p.Crashes != 0 || p.Reason == "" || want[p.Text] == "" {
				t.Errorf("%s: %+v", want[p.Text], p)
			}
			if strings.HasPrefix(want[p.Text], "pointer to") && (p.PayloadBlob == "" || p.InstanceID != "bad" || p.Kind != history.KindEventRaised) {
				t.Errorf("%s: %+v", want[p.Text], p)
			}
			if !strings.Contains(logged, p.ID) {
				t.Errorf("%s: the log does not name it", want[p.Text])
			}
		}
		if s := statusOf(t, w, "bad"); s.Status != history.Running || s.Poison == nil || s.Poison.Count() < 50 {
			t.Errorf("the instance it is about: %+v", s)
		}
	})
}

// damage is something done to what is stored about the instance "bad".
type damage struct {
	name string
	do   func(t *testing.T, w *fleettest.World)
	// heals says that the instance goes on nevertheless.
	heals bool
}

func historyColumns(row int, columns map[string]any) func(*testing.T, *fleettest.World) {
	return func(_ *testing.T, w *fleettest.World) {
		w.MergeRow(w.Hub.Store().Names.HistoryTable(), "bad", wire.RowKey(row), columns)
	}
}

func sentinelColumns(columns map[string]any) func(*testing.T, *fleettest.World) {
	return func(_ *testing.T, w *fleettest.World) {
		w.MergeRow(w.Hub.Store().Names.HistoryTable(), "bad", wire.SentinelKey, columns)
	}
}

func rowColumns(columns map[string]any) func(*testing.T, *fleettest.World) {
	return func(_ *testing.T, w *fleettest.World) {
		w.MergeRow(w.Hub.Store().Names.InstancesTable(), "bad", "", columns)
	}
}

func deleteRow(instances bool, rowKey string) func(*testing.T, *fleettest.World) {
	return func(t *testing.T, w *fleettest.World) {
		table := w.Hub.Store().Names.HistoryTable()
		if instances {
			table = w.Hub.Store().Names.InstancesTable()
		}
		check(t, w.Account.Tables.Delete(w.Context(), table, "bad", rowKey, storage.AnyETag))
	}
}

// replaceRow leaves only the given columns of a history row.
func replaceRow(row int, columns map[string]any) func(*testing.T, *fleettest.World) {
	return func(t *testing.T, w *fleettest.World) {
		_, err := w.Account.Tables.Replace(w.Context(), w.Hub.Store().Names.HistoryTable(),
			storage.Row{PartitionKey: "bad", RowKey: wire.RowKey(row), Values: columns}, storage.AnyETag)
		check(t, err)
	}
}

func payloads(change func(t *testing.T, w *fleettest.World, blob string)) func(*testing.T, *fleettest.World) {
	return func(t *testing.T, w *fleettest.World) {
		for _, blob := range w.Blobs() {
			if strings.HasPrefix(blob, "bad/history-") {
				change(t, w, blob)
			}
		}
	}
}

func putBlob(data []byte) func(*testing.T, *fleettest.World) {
	return payloads(func(t *testing.T, w *fleettest.World, blob string) {
		check(t, w.Account.Blobs.PutBlob(w.Context(), w.Hub.Store().Names.LargeMessages(), blob, data, false))
	})
}

// The history of "bad" is OrchestratorStarted, ExecutionStarted, OrchestratorCompleted,
// OrchestratorStarted, EventRaised with a payload in a blob, OrchestratorCompleted.
func damages() []damage {
	bomb, err := wire.Compress(strings.Repeat(" ", 65<<20))
	if err != nil {
		panic(err)
	}
	return []damage{
		{"row: times are texts", rowColumns(map[string]any{"CreatedTime": "yesterday"}), false},
		{"row: generation is a text", rowColumns(map[string]any{"Generation": "one"}), false},
		{"row: status is a number", rowColumns(map[string]any{"RuntimeStatus": int32(7)}), false},
		{"row: tags are no JSON", rowColumns(map[string]any{"Tags": "}{"}), false},
		{"row: status unknown", rowColumns(map[string]any{"RuntimeStatus": "Novel"}), true},
		{"row: missing", deleteRow(true, ""), true},
		{"history: id is a text", historyColumns(1, map[string]any{"EventId": "one"}), false},
		{"history: time is a number", historyColumns(3, map[string]any{"_Timestamp": int64(7)}), false},
		{"history: unknown event", historyColumns(4, map[string]any{"EventType": "Novelty"}), false},
		{"history: no execution", replaceRow(4, map[string]any{"EventType": "EventRaised", "EventId": int32(-1)}), false},
		{"history: execution is a number", historyColumns(4, map[string]any{"ExecutionId": int32(4)}), false},
		{"history: answer to nothing", historyColumns(4, map[string]any{"EventType": "TaskCompleted", "TaskScheduledId": int32(7)}), true},
		{"history: no episode", historyColumns(0, map[string]any{"EventType": "OrchestratorCompleted"}), false},
		{"history: gap", deleteRow(false, wire.RowKey(3)), false},
		{"history: beginning missing", deleteRow(false, wire.RowKey(0)), false},
		{"history: sentinel missing", deleteRow(false, wire.SentinelKey), true},
		{"history: sentinel of another execution", sentinelColumns(map[string]any{"ExecutionId": "another"}), false},
		{"history: sentinel of wrong types", sentinelColumns(map[string]any{"IsCheckpointComplete": "yes"}), false},
		{"history: processed list garbage", sentinelColumns(map[string]any{"DurafleetProcessed": "%%%", "DurafleetReplaced": "\n\n"}), true},
		{"payload: missing", payloads(func(t *testing.T, w *fleettest.World, blob string) {
			check(t, w.Account.Blobs.DeleteBlob(w.Context(), w.Hub.Store().Names.LargeMessages(), blob))
		}), false},
		{"payload: empty", putBlob(nil), false},
		{"payload: no gzip", putBlob([]byte("garbage")), false},
		{"payload: a bomb", putBlob(bomb), false},
	}
}

// Damage to what is stored about one instance harms no other one. The messages of the damaged one
// are moved, and it says so, unless it heals.
func TestPoison_DamagedInstance(t *testing.T) {
	t.Parallel()
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			fleettest.Virtual(t, false, func(t *testing.T, w *fleettest.World) { damagedInstance(t, w, d) })
		})
	}
}

func damagedInstance(t *testing.T, w *fleettest.World, d damage) {
	t.Helper()
	log := &logBook{}
	options := logTo(log)
	options.MaxPollInterval, options.MaxDeliveries = 15*time.Second, 8
	notes := poisonNotes.With(func(ctx *orchestration.Context, _ struct{}) (int, error) {
		for n := 0; ; n++ {
			if note, err := orchestration.WaitForEvent(ctx, crashNote).Await(); err != nil || note == "end" {
				return n, err
			}
		}
	})
	first := w.Start(nil, notes)
	// Two on one partition: the bad one and one beside it.
	good := ""
	for i := 0; good == ""; i++ {
		if id := fmt.Sprint("good-", i); w.Hub.PartitionOf(id) == w.Hub.PartitionOf("bad") {
			good = id
		}
	}
	note := func(id, text string) {
		check(t, taskhub.RaiseEvent(w.Context(), w.Client, id, crashNote, text, taskhub.Unchecked{}))
	}
	for _, id := range []string{"bad", good} {
		launch(t, w, poisonNotes, struct{}{}, taskhub.InstanceID(id))
		reach(t, w, id, history.Running)
		note(id, incompressible(50_000)+"!")
	}
	w.DrainedWithin(soon)
	check(t, first.Stop())
	d.do(t, w)
	_, hadRow := w.Row("bad")
	w.Start(options, notes)
	note("bad", "end")
	note(good, "end")
	if s := endOf(t, w, good); s.Status != history.Completed {
		t.Errorf("the other instance is %s", s.Status)
	}
	w.DrainedWithin(6 * time.Hour)
	w.CheckEnded(good)
	if d.heals {
		if s := statusOf(t, w, "bad"); s.Status != history.Completed || len(poisonList(t, w)) != 0 {
			t.Errorf("it should have healed: %+v", s)
		}
		return
	}
	p := onePoison(t, w)
	if p.InstanceID != "bad" || p.Kind != history.KindEventRaised || p.Deliveries < 8 || p.Reason == "" || !strings.Contains(log.String(), p.ID) {
		t.Errorf("the record is %+v", p)
	}
	if row, _ := w.Row("bad"); hadRow && wire.DecodePoisonMark(row.Values) == nil {
		t.Errorf("the row is %v", row.Values)
	}
	page, err := w.Client.List(w.Context(), taskhub.Query{})
	if err != nil || len(page.Instances) != 2 {
		t.Errorf("the list is %+v, %v", page, err)
	}
	// Purged, the id is free and works again.
	check(t, w.Client.Purge(w.Context(), "bad", taskhub.Force{}))
	launch(t, w, poisonNotes, struct{}{}, taskhub.InstanceID("bad"))
	note("bad", "end")
	if s := endOf(t, w, "bad"); s.Status != history.Completed || s.Poison != nil || len(poisonList(t, w)) != 0 {
		t.Errorf("after a purge: %+v", s)
	}
}
