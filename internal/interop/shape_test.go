package interop_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/wire"
)

// contents is what a hub holds, whoever filled it.
type contents struct {
	hub                string
	history, instances []storage.Row
	// blobs maps the names of payload blobs to the lengths of their texts.
	blobs map[string]int
	// messages is how many messages are left in each queue.
	messages map[string]int
}

// recordedContents is what .NET left.
func recordedContents(hub *fixture.Hub) *contents {
	c := &contents{
		hub: hub.Name, history: hub.Rows(hub.Name + "History"), instances: hub.Rows(hub.Name + "Instances"),
		blobs: map[string]int{}, messages: map[string]int{},
	}
	for _, blob := range hub.Containers[strings.ToLower(hub.Name)+"-largemessages"].Blobs {
		c.blobs[blob.Name] = max(blob.TextLength, len(blob.Text))
	}
	for queue, messages := range hub.Queues {
		c.messages[strings.TrimPrefix(queue, strings.ToLower(hub.Name))] = len(messages)
	}
	return c
}

// contents is what this engine left.
func (w *world) contents() *contents {
	w.Helper()
	names := w.hub.Store().Names
	c := &contents{
		hub: names.Hub(), history: w.historyRows(), instances: w.instanceRows(),
		blobs: map[string]int{}, messages: map[string]int{},
	}
	for _, queue := range w.queueNames() {
		n, err := w.account.Queues.Count(w.ctx, queue)
		if err != nil {
			w.Fatal(err)
		}
		c.messages[strings.TrimPrefix(queue, strings.ToLower(names.Hub()))] = n
	}
	blobs, err := w.account.Blobs.ListBlobs(w.ctx, names.LargeMessages(), "")
	if err != nil {
		return c // the container is made when it is first used
	}
	for _, name := range blobs {
		data, err := w.account.Blobs.GetBlob(w.ctx, names.LargeMessages(), name, 0)
		if err != nil {
			w.Fatal(err)
		}
		text, err := wire.Decompress(data, 1<<20)
		if err != nil {
			w.Fatal(err)
		}
		c.blobs[name] = len(text)
	}
	return c
}

// shape describes the contents in lines that are equal for two runs of the same program. What two
// runs, and two engines, may differ in is left out:
//
//   - execution ids, which are replaced by what they are the execution of;
//   - times, of which only the presence and type stay; TestTimes checks how they relate;
//   - ETag and Timestamp, which the service makes;
//   - how the same JSON is written: the order of tags, and which characters are escaped;
//   - IsPlayed: .NET marks events that came from messages, and nobody reads it; we write false;
//   - the random part of blob names, the message ids in them, the account in their URLs, and the
//     length of message blobs, because messages hold ids and times;
//   - the columns of sentinels that are ours alone.
func (c *contents) shape() []string {
	names := c.executions()
	var lines []string
	for _, row := range c.history {
		lines = append(lines, "history "+c.line(row, names))
	}
	for _, row := range c.instances {
		lines = append(lines, "instance "+c.line(row, names))
	}
	for name, length := range c.blobs {
		if strings.Contains(name, "/message-") {
			length = 0
		}
		lines = append(lines, fmt.Sprintf("blob %s %d", c.anonymous(name, names), length))
	}
	for queue, n := range c.messages {
		if n > 0 {
			lines = append(lines, fmt.Sprintf("queue %s %d", queue, n))
		}
	}
	slices.Sort(lines)
	return lines
}

// executions names the executions: "⟨i⟩" is the current one of instance i, "⟨i⟩1" the first of
// the others. The ids of children may hold the execution of their parent.
func (c *contents) executions() map[string]string {
	names := map[string]string{}
	for left := len(c.instances) + 1; left > 0; left-- {
		for _, row := range c.instances {
			id, _ := row.Values["ExecutionId"].(string)
			parent, _, _ := strings.Cut(row.PartitionKey, ":")
			if names[id] == "" && (!executionID.MatchString(parent) || names[parent] != "") {
				names[id] = "⟨" + c.anonymous(row.PartitionKey, names) + "⟩"
			}
		}
	}
	others := map[string]int{}
	for _, row := range c.history {
		id, _ := row.Values["ExecutionId"].(string)
		if names[id] == "" {
			others[row.PartitionKey]++
			names[id] = fmt.Sprintf("⟨%s⟩%d", c.anonymous(row.PartitionKey, names), others[row.PartitionKey])
		}
	}
	return names
}

var (
	executionID = regexp.MustCompile(`[0-9a-f]{32}`)
	blobRandom  = regexp.MustCompile(`-[0-7][0-9A-F]{7}-`)
	messageID   = regexp.MustCompile(`/message-[0-9a-f]{32}-`)
	blobBase    = regexp.MustCompile(`^https?://.*-largemessages/`)
)

// anonymous replaces what is random in a text.
func (c *contents) anonymous(text string, names map[string]string) string {
	text = messageID.ReplaceAllString(text, "/message-*-")
	text = blobRandom.ReplaceAllString(text, "-*-")
	text = blobBase.ReplaceAllString(text, "*/")
	return executionID.ReplaceAllStringFunc(text, func(id string) string {
		if name := names[id]; name != "" {
			return name
		}
		return id
	})
}

func (c *contents) line(row storage.Row, names map[string]string) string {
	parts := []string{c.anonymous(row.PartitionKey, names), row.RowKey}
	for _, column := range slices.Sorted(maps.Keys(row.Values)) {
		value := row.Values[column]
		switch v := value.(type) {
		case time.Time:
			value = "time"
		case string:
			value = c.anonymous(sameJSON(v), names)
		}
		switch {
		case column == "IsPlayed", strings.HasPrefix(column, privatePrefix):
		case column == "TaskHubName":
			parts = append(parts, fmt.Sprintf("%s=%v", column, value == c.hub))
		default:
			parts = append(parts, fmt.Sprintf("%s=%T:%v", column, row.Values[column], value))
		}
	}
	return strings.Join(parts, " ")
}

// sameJSON writes JSON objects, arrays and strings in one way; other texts stay as they are.
func sameJSON(text string) string {
	var value any
	if text == "" || !strings.ContainsAny(text[:1], `{["`) || json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	written, err := json.Marshal(value)
	if err != nil {
		return text
	}
	return string(written)
}
