package wire_test

import (
	"encoding/json"
	"encoding/xml"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/internal/fixture"
	"github.com/durafleet/durafleet/internal/wire"
)

// The tests that begin with TestGolden run over everything the .NET engine was recorded to write:
// what it wrote is decoded, encoded again and compared.

// eachScenario runs a test on every recording.
func eachScenario(t *testing.T, run func(t *testing.T, scenario string)) {
	t.Helper()
	for _, scenario := range fixture.Names() {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			run(t, scenario)
		})
	}
}

// recordedMessage is a message with the queue it was put into.
type recordedMessage struct {
	queue, text string
}

// recordedMessages returns the texts a scenario put into queues.
func recordedMessages(t testing.TB, scenario string) []recordedMessage {
	t.Helper()
	var messages []recordedMessage
	for _, request := range fixture.Traffic(t, scenario) {
		if !strings.HasPrefix(request.Op, "queue.put") && request.Op != "queue.update" || request.ReqBody.Text == "" {
			continue
		}
		var body struct{ MessageText string }
		if err := xml.Unmarshal([]byte(strings.TrimPrefix(request.ReqBody.Text, "\uFEFF")), &body); err != nil {
			t.Fatalf("message of %s: %v", request.URL, err)
		}
		path := strings.Split(request.URL, "/")
		messages = append(messages, recordedMessage{path[2], body.MessageText})
	}
	for queue, list := range fixture.Load(t, scenario).Queues {
		for _, message := range list {
			messages = append(messages, recordedMessage{queue, message.Text})
		}
	}
	return messages
}

// recordedRow is a row as it was stored, or as it was sent to be merged into one.
type recordedRow struct {
	partitionKey, rowKey string
	columns              wire.Columns
	// sent marks a row from a request, which need not be complete.
	sent bool
}

// recordedRows returns the rows a hub ended with and those of all requests that wrote one.
func recordedRows(t *testing.T, scenario string) []recordedRow {
	t.Helper()
	var rows []recordedRow
	hub := fixture.Load(t, scenario)
	for table := range hub.Tables {
		for _, row := range hub.Rows(table) {
			rows = append(rows, recordedRow{row.PartitionKey, row.RowKey, wire.Columns(row.Values), false})
		}
	}
	for _, request := range fixture.Traffic(t, scenario) {
		bodies := []string{}
		if strings.HasPrefix(request.Op, "table.") && request.Method != "GET" {
			bodies = append(bodies, request.ReqBody.Text)
		}
		for _, part := range request.ReqBatch {
			bodies = append(bodies, part.Body)
		}
		for _, body := range bodies {
			if row, ok := parseRow(t, body); ok {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// parseRow reads the row in the body of a request.
func parseRow(t *testing.T, body string) (recordedRow, bool) {
	t.Helper()
	row := recordedRow{columns: wire.Columns{}, sent: true}
	var values map[string]any
	if !strings.HasPrefix(body, "{") || json.Unmarshal([]byte(body), &values) != nil {
		return row, false
	}
	for name, value := range values {
		switch v := value.(type) {
		case float64:
			row.columns[name] = int32(v)
		case bool:
			row.columns[name] = v
		case string:
			row.columns[name] = v
			if values[name+"@odata.type"] == "Edm.DateTime" {
				at, err := time.Parse(time.RFC3339Nano, v)
				if err != nil {
					t.Fatalf("column %s: %v", name, err)
				}
				row.columns[name] = at
			}
		}
	}
	var isRow bool
	row.partitionKey, isRow = row.columns["PartitionKey"].(string)
	row.rowKey, _ = row.columns["RowKey"].(string)
	maps.DeleteFunc(row.columns, func(name string, _ any) bool {
		return name == "PartitionKey" || name == "RowKey" || strings.Contains(name, "odata.")
	})
	return row, isRow
}

// recordedBlobs returns the blobs of the large-message container by name.
func recordedBlobs(t *testing.T, scenario string) map[string]fixture.Blob {
	t.Helper()
	blobs := map[string]fixture.Blob{}
	for name, container := range fixture.Load(t, scenario).Containers {
		for _, blob := range container.Blobs {
			if strings.HasSuffix(name, "-largemessages") {
				blobs[blob.Name] = blob
			}
		}
	}
	return blobs
}

func unpack(t *testing.T, blob fixture.Blob) string {
	t.Helper()
	text, err := wire.Decompress(blob.Content(), 1<<20)
	if err != nil {
		t.Fatalf("blob %s: %v", blob.Name, err)
	}
	return text
}

// dictionaryType matches the $type of a dictionary, which is not written again.
var dictionaryType = regexp.MustCompile("\"\\$type\":\"System\\.Collections\\.Generic\\.Dictionary`2[^\"]*\",?")

// withoutDictionaryTypes returns a message as we write it, if everything else is equal.
func withoutDictionaryTypes(text string) string {
	return dictionaryType.ReplaceAllString(text, "")
}
