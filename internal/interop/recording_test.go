package interop_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/storage"
)

// recording is a hub as it was after some of the requests of a recording, with the commands that
// had not been given then.
type recording struct {
	scenario string
	tables   map[string]map[[2]string]storage.Row
	queues   map[string][]fixture.Message
	left     []map[string]any
	// inFlight says that a client was in the middle of a command.
	inFlight bool
}

// cuts returns the hub after each request that changed it, as if everybody had died then.
func cuts(t testing.TB, scenario string) []*recording {
	t.Helper()
	r := &recording{scenario: scenario, tables: map[string]map[[2]string]storage.Row{}, queues: map[string][]fixture.Message{}}
	traffic := fixture.Traffic(t, scenario)
	for _, line := range traffic {
		if line.Step != nil && line.Step["cmd"] != nil {
			r.left = append(r.left, line.Step)
		}
	}
	var all []*recording
	for i, line := range traffic {
		if line.Step != nil && line.Step["cmd"] != nil {
			r.left, r.inFlight = r.left[1:], isRequest(line.Step)
			continue
		}
		changed, err := r.apply(line)
		if err != nil {
			t.Fatalf("%s, line %d: %v", scenario, i+1, err)
		}
		if changed && !r.inFlight {
			all = append(all, r.clone())
		}
	}
	return all
}

// isRequest reports whether a command makes a client change something.
func isRequest(step map[string]any) bool {
	switch step["cmd"] {
	case "start", "raise", "suspend", "resume", "terminate", "rewind":
		return true
	}
	return false
}

func (r *recording) clone() *recording {
	c := &recording{
		scenario: r.scenario, tables: map[string]map[[2]string]storage.Row{},
		queues: map[string][]fixture.Message{}, left: slices.Clone(r.left),
	}
	for name, table := range r.tables {
		c.tables[name] = map[[2]string]storage.Row{}
		for key, row := range table {
			row.Values = maps.Clone(row.Values)
			c.tables[name][key] = row
		}
	}
	for name, queue := range r.queues {
		c.queues[name] = slices.Clone(queue)
	}
	return c
}

// apply carries one recorded request out and reports whether it changed something that is about
// instances.
func (r *recording) apply(line fixture.Request) (bool, error) {
	address, err := url.Parse(line.URL)
	if err != nil {
		return false, err
	}
	path := strings.Split(strings.TrimPrefix(address.Path, "/devstoreaccount1/"), "/")
	if line.Status >= 300 || strings.Contains(path[0], "Partitions") {
		return false, nil
	}
	switch line.Op {
	case "queue.put", "queue.put(delayed)":
		return true, r.put(path[0], address.Query().Get("visibilitytimeout"), line)
	case "queue.delete":
		r.queues[path[0]] = slices.DeleteFunc(r.queues[path[0]], func(m fixture.Message) bool { return m.ID == path[2] })
		return true, nil
	case "table.insert", "table.put", "table.patch":
		// The client's insert of the status row ends a start.
		r.inFlight = r.inFlight && line.Op != "table.insert"
		return true, r.write(path[0], line.Method, line.ReqBody.Text)
	case "table.batch":
		for _, part := range line.ReqBatch {
			if part.Omitted > 0 {
				continue
			}
			method, target, _ := strings.Cut(part.Line, " ")
			target = target[strings.LastIndex(target, "devstoreaccount1/")+len("devstoreaccount1/"):]
			if err := r.write(target, method, part.Body); err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return false, nil
}

func (r *recording) put(queue, delay string, line fixture.Request) error {
	var sent struct {
		Text string `xml:"MessageText"`
	}
	var answer struct {
		ID string `xml:"QueueMessage>MessageId"`
	}
	// The answer of a list has one element around it, which recordings leave out if it is alone.
	if err := xml.Unmarshal([]byte(strings.TrimPrefix(line.ReqBody.Text, "\ufeff")), &sent); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	if err := xml.Unmarshal([]byte("<List>"+line.ResBody.Text+"</List>"), &answer); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if answer.ID == "" {
		return fmt.Errorf("no message id in %q", line.ResBody.Text)
	}
	message := fixture.Message{ID: answer.ID, Text: sent.Text, Visible: true}
	if seconds, err := strconv.Atoi(delay); err == nil {
		message.DelayMs = int64(seconds) * 1000
	}
	r.queues[queue] = append(r.queues[queue], message)
	// A client's put ends a command, but that of a start, which a status row follows.
	if strings.Contains(sent.Text, `"Sender":{"InstanceId":""`) && !strings.Contains(sent.Text, "ExecutionStartedEvent") {
		r.inFlight = false
	}
	return nil
}

// write writes a row: replaced by PUT, merged by PATCH, inserted by POST.
func (r *recording) write(target, method, body string) error {
	name, _, _ := strings.Cut(target, "(")
	row, err := parseRow(body)
	if err != nil {
		return fmt.Errorf("row of %s: %w", name, err)
	}
	table, ok := r.tables[name]
	if !ok {
		table = map[[2]string]storage.Row{}
		r.tables[name] = table
	}
	key := [2]string{row.PartitionKey, row.RowKey}
	if older, ok := table[key]; ok && method == "PATCH" {
		maps.Copy(older.Values, row.Values)
		row = older
	}
	table[key] = row
	return nil
}

// parseRow reads a row as it is sent.
func parseRow(body string) (storage.Row, error) {
	var sent map[string]any
	if err := json.Unmarshal([]byte(body), &sent); err != nil {
		return storage.Row{}, err
	}
	row := storage.Row{Values: map[string]any{}}
	row.PartitionKey, _ = sent["PartitionKey"].(string)
	row.RowKey, _ = sent["RowKey"].(string)
	for name, value := range sent {
		switch v := value.(type) {
		case string:
			if name == "PartitionKey" || name == "RowKey" || strings.Contains(name, "@odata") {
				continue
			}
			row.Values[name] = v
			if sent[name+"@odata.type"] == "Edm.DateTime" {
				at, err := time.Parse(time.RFC3339Nano, v)
				if err != nil {
					return storage.Row{}, err
				}
				row.Values[name] = at
			}
		case float64:
			row.Values[name] = int32(v)
		case bool:
			row.Values[name] = v
		}
	}
	return row, nil
}

// hub returns the recording as a hub to restore. Its partitions belong to a worker that is dead.
func (r *recording) hub(t testing.TB) *fixture.Hub {
	t.Helper()
	hub := fixture.Load(t, r.scenario)
	for _, name := range []string{hub.Name + "History", hub.Name + "Instances"} {
		hub.SetRows(name, slices.Collect(maps.Values(r.tables[name])))
	}
	for name := range hub.Queues {
		hub.Queues[name] = r.queues[name]
	}
	hub.Steps = r.left
	return hub
}
