package worker_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/fleettest"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// vandal damages what is stored about the instance "bad", as its random numbers say.
type vandal struct {
	t *testing.T
	w *fleettest.World
	r *rand.Rand
	// sent are texts of messages about the instance.
	sent []string
	// done says what was damaged.
	done []string
}

func (v *vandal) note(format string, arguments ...any) {
	v.done = append(v.done, fmt.Sprintf(format, arguments...))
}

// strike does one damage, if there is something to damage.
func (v *vandal) strike() {
	names := v.w.Hub.Store().Names
	rows := v.w.HistoryRows("bad")
	switch kind := v.r.IntN(11); {
	case kind < 7 && len(rows) == 0, kind >= 8:
		v.message()
	case kind == 7:
		if row, found := v.w.Row("bad"); found {
			v.cell(names.InstancesTable(), row)
		}
	case kind == 6:
		v.blob()
	default:
		v.history(kind, rows)
	}
}

// history damages a row of the history, the sentinel included.
func (v *vandal) history(kind int, rows []storage.Row) {
	table := v.w.Hub.Store().Names.HistoryTable()
	row, other := rows[v.r.IntN(len(rows))], rows[v.r.IntN(len(rows))]
	switch kind {
	case 0, 1:
		v.cell(table, row)
	case 2:
		column := oneOf(v.r, slices.Sorted(maps.Keys(row.Values)))
		delete(row.Values, column)
		v.replace(table, row.RowKey, row.Values)
		v.note("history row %s lacks %s", row.RowKey, column)
	case 3:
		check(v.t, v.w.Account.Tables.Delete(v.w.Context(), table, "bad", row.RowKey, storage.AnyETag))
		v.note("history row %s is gone", row.RowKey)
	case 4:
		v.replace(table, row.RowKey, other.Values)
		v.note("history row %s is that of %s", row.RowKey, other.RowKey)
	default:
		foreign, err := v.w.Account.Tables.Read(v.w.Context(), table, "bad-child", wire.SentinelKey)
		if err == nil {
			v.replace(table, wire.SentinelKey, foreign.Values)
			v.note("the sentinel is that of another execution")
		}
	}
}

func (v *vandal) replace(table, rowKey string, columns map[string]any) {
	row := storage.Row{PartitionKey: "bad", RowKey: rowKey, Values: columns}
	_, err := v.w.Account.Tables.Replace(v.w.Context(), table, row, storage.AnyETag)
	check(v.t, err)
}

// cell writes something else into one column.
func (v *vandal) cell(table string, row storage.Row) {
	column := oneOf(v.r, slices.Sorted(maps.Keys(row.Values)))
	value := v.value(fmt.Sprint(row.Values[column]))
	v.w.MergeRow(table, "bad", row.RowKey, map[string]any{column: value})
	v.note("%s row %q: %s is a %T: %.60v", table, row.RowKey, column, value, value)
}

// value returns a column value of any type, perhaps one that resembles the text.
func (v *vandal) value(text string) any {
	switch v.r.IntN(9) {
	case 0:
		return v.r.Int32() >> v.r.IntN(31)
	case 1:
		return v.r.Int64() >> v.r.IntN(63)
	case 2:
		return v.r.IntN(2) == 0
	case 3:
		return time.Unix(v.r.Int64N(1<<33), 0).UTC()
	case 4:
		return []byte(text)
	case 5:
		return v.r.Float64() * 1e10
	case 6, 7:
		return v.mutate(text)
	default:
		return oneOf(v.r, []string{
			"", "null", "{}", "[]", "Running", "Completed", "TaskCompleted", "TimerFired", "ExecutionStarted", "ExecutionCompleted",
			"garbage", "-1", "bad", "bad/history-0.json.gz", "https://x/y",
		})
	}
}

// blob damages a payload of the instance.
func (v *vandal) blob() {
	var own []string
	for _, name := range v.w.Blobs() {
		if strings.HasPrefix(name, "bad/") {
			own = append(own, name)
		}
	}
	if len(own) == 0 {
		return
	}
	name, container := oneOf(v.r, own), v.w.Hub.Store().Names.LargeMessages()
	data, err := v.w.Account.Blobs.GetBlob(v.w.Context(), container, name, 1<<26)
	check(v.t, err)
	data = slices.Clone(data)
	switch at := v.r.IntN(len(data)); v.r.IntN(3) {
	case 0:
		data = data[:at]
		v.note("blob %s is cut off at %d", name, at)
	case 1:
		data[at] ^= byte(1 + v.r.IntN(255))
		v.note("byte %d of blob %s is another", at, name)
	default:
		check(v.t, v.w.Account.Blobs.DeleteBlob(v.w.Context(), container, name))
		v.note("blob %s is gone", name)
		return
	}
	check(v.t, v.w.Account.Blobs.PutBlob(v.w.Context(), container, name, data, false))
}

// message sends a damaged copy of a message, most often where such messages belong.
func (v *vandal) message() {
	text := v.mutate(oneOf(v.r, v.sent))
	if v.r.IntN(4) == 0 {
		text = wire.Base64(text)
	}
	queue := v.w.Hub.Store().ControlQueueOf("bad")
	if v.r.IntN(4) == 0 {
		queue = oneOf(v.r, v.w.Queues())
	}
	v.w.PutText(queue, text)
	v.note("message in %s: %.900s", queue, text)
}

// mutate damages a text in up to three places. What stays is valid UTF-8.
func (v *vandal) mutate(text string) string {
	for range 1 + v.r.IntN(3) {
		if text == "" {
			break
		}
		at := v.r.IntN(len(text))
		switch v.r.IntN(6) {
		case 0:
			text = text[:at] + string(rune(' '+v.r.IntN(90))) + text[at+1:]
		case 1:
			text = text[:at] + text[min(len(text), at+1+v.r.IntN(40)):]
		case 2:
			text = text[:at] + text[at:min(len(text), at+v.r.IntN(60))] + text[at:]
		case 3:
			text = strings.Replace(text, "null", oneOf(v.r, []string{"7", "{}", "[]", `"x"`, "true"}), 1+v.r.IntN(3))
		case 4:
			member := oneOf(v.r, []string{"EventId", "TaskScheduledId", "Name", "EventType", "ExecutionId", "InstanceId", "Input"})
			text = strings.Replace(text, `"`+member+`":`, `"X":`, 1)
		default:
			if v.r.IntN(3) == 0 {
				text = text[:at]
			}
		}
	}
	return strings.ToValidUTF8(text, "?")
}

// oneOf returns one of some values.
func oneOf[T any](r *rand.Rand, values []T) T { return values[r.IntN(len(values))] }
